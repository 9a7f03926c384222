/** What a reader must know of a history before they trust the rest: that it is cut, damaged, or shown in part. */
import type { CellBlock } from "../../rig/report/bundle.ts";
import { hiddenWords } from "./event-words.ts";
import { counted, formatCount } from "./units.ts";

type History = NonNullable<CellBlock["history"]>;

export const Announcements = ({ history }: { readonly history: History }) => {
  const hidden = hiddenWords(history.left);
  return (
    <>
      {history.truncated && (
        <p class="banner warn">The history ends before the cell's end: the rig was killed while it wrote.</p>
      )}
      {history.damagedLines > 0 && (
        <p class="banner warn">
          {counted(history.damagedLines, "line")} of the history cannot be read and{" "}
          {history.damagedLines === 1 ? "is" : "are"} left out: the file is damaged.
        </p>
      )}
      {hidden !== "" && (
        <p class="banner">
          This page shows {formatCount(history.events.length)} of {formatCount(history.total)} events
          {history.detail === "light" ? " (a shorter selection than for the first failures)" : ""}. Left out: {hidden}.
          history.ndjson has all.
        </p>
      )}
    </>
  );
};
