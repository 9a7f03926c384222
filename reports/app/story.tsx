/** The cell in a dozen lines, each a link to its line of the history. */

import type { Moment } from "./moment.ts";
import { cellHref } from "./route.ts";

export const Story = ({ moments, cell }: { readonly moments: readonly Moment[]; readonly cell: string }) =>
  moments.length === 0 ? (
    <p class="quiet">The history tells of nothing.</p>
  ) : (
    <ol class="story">
      {moments.map((moment, i) => (
        <li key={i} class={moment.tone}>
          <a href={cellHref(cell, moment.line)} title={`line ${String(moment.line)} of the history`}>
            {moment.at.toFixed(3)} s
          </a>
          <span>{moment.text}</span>
        </li>
      ))}
    </ol>
  );
