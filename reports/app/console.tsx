/**
 * A node's serial console beside the host's clock. The part around the faults is shown, the boot is folded away, and lines
 * that a finding quotes are marked. The text came from a machine that was being broken on purpose: it is text and nothing else.
 */
import { useState } from "preact/hooks";
import type { NodeName } from "../../rig/core/names.ts";
import type { EventOf } from "../../rig/history/event.ts";
import { counted, secondsOf } from "./units.ts";

export type ConsoleEvent = readonly [line: number, event: EventOf<"console">];

interface Props {
  readonly node: NodeName;
  readonly lines: readonly ConsoleEvent[];
  /** Seconds; what happened before is folded. */
  readonly interestingFrom: number;
  readonly highlighted: (line: ConsoleEvent) => boolean;
}

/** Of the interesting part at first; the end of a console says the most. */
const MAX_LINES = 400;

export const NodeConsole = ({ node, lines, interestingFrom, highlighted }: Props) => {
  const [all, setAll] = useState(false);
  const isLate = ([, event]: ConsoleEvent): boolean => secondsOf(event.t) >= interestingFrom;
  const interesting = lines.filter(l => isLate(l) || highlighted(l));
  const shown = all ? lines : interesting.filter((l, i) => i >= interesting.length - MAX_LINES || highlighted(l));
  const hidden = lines.length - shown.length;
  return (
    <section class="console">
      <h5>
        {node}{" "}
        <span class="quiet">
          {lines.length === 0 ? "printed nothing" : counted(lines.length, "line")}
          {lines.length > 0 && interesting.length === 0 ? ", none since the first fault" : ""}
        </span>
      </h5>
      {shown.length > 0 && (
        <pre>
          {shown.map(line => (
            <span key={line[0]} class={`line${highlighted(line) ? " report" : ""}`}>
              <span class="at">{secondsOf(line[1].t).toFixed(3).padStart(8)}</span> {line[1].line}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
      {hidden > 0 && (
        <button type="button" onClick={() => setAll(true)}>
          Show {counted(hidden, "more line")}
        </button>
      )}
    </section>
  );
};
