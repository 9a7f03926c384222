/** The history as a list, filtered by words and by kind. It draws a few hundred lines at a time and says what it leaves out. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { eventWords } from "./event-words.ts";
import { formatCount, secondsOf } from "./units.ts";

const PAGE = 200;
const BEFORE = 40;

interface Props {
  readonly events: readonly NumberedEvent[];
  /** The line to show and mark; a new object each time it is asked for. */
  readonly target: { readonly line: number } | undefined;
  readonly cited: ReadonlySet<number>;
}

export const EventList = ({ events, target, cited }: Props) => {
  const [words, setWords] = useState("");
  const [kind, setKind] = useState("");
  const [start, setStart] = useState(0);
  const [count, setCount] = useState(PAGE);
  const marked = useRef<HTMLTableRowElement>(null);
  const rows = useMemo(() => events.map(([line, event]) => ({ line, event, words: eventWords(event) })), [events]);
  const kinds = useMemo(() => [...new Set(events.map(([, event]) => event.kind))], [events]);
  const wanted = words.toLowerCase();
  const matching = rows.filter(
    r => (kind === "" || r.event.kind === kind) && (wanted === "" || r.words.toLowerCase().includes(wanted)),
  );
  const shown = matching.slice(start, start + count);

  useEffect(() => {
    if (target === undefined) return;
    const index = rows.findIndex(r => r.line >= target.line);
    setWords("");
    setKind("");
    setStart(Math.max(0, index - BEFORE));
    setCount(PAGE);
  }, [target, rows]);
  useEffect(() => {
    if (target !== undefined) marked.current?.scrollIntoView({ block: "center" });
  }, [target, start]);

  const filter = (change: () => void) => {
    change();
    setStart(0);
    setCount(PAGE);
  };
  return (
    <div class="events">
      <p class="toolbar">
        <label>
          Filter{" "}
          <input
            type="search"
            value={words}
            placeholder="words"
            onInput={e => filter(() => setWords(e.currentTarget.value))}
          />
        </label>
        <label>
          Kind{" "}
          <select value={kind} onChange={e => filter(() => setKind(e.currentTarget.value))}>
            <option value="">all</option>
            {kinds.map(k => (
              <option key={k} value={k}>
                {k}
              </option>
            ))}
          </select>
        </label>
        <span class="quiet">
          {formatCount(shown.length)} of {formatCount(matching.length)} matching lines shown
        </span>
      </p>
      {start > 0 && (
        <button
          type="button"
          onClick={() => {
            setStart(Math.max(0, start - PAGE));
            setCount(count + Math.min(start, PAGE));
          }}
        >
          Show earlier lines
        </button>
      )}
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th class="number">line</th>
              <th class="number">s</th>
              <th>kind</th>
              <th>what</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(row => (
              <tr
                key={row.line}
                ref={row.line === target?.line ? marked : null}
                class={`${row.line === target?.line ? "target " : ""}${cited.has(row.line) ? "cited" : ""}`}
              >
                <td class="number">{row.line}</td>
                <td class="number">{secondsOf(row.event.t).toFixed(4)}</td>
                <td>
                  <span class={`kind kind-${row.event.kind}`}>{row.event.kind}</span>
                </td>
                <td class="mono">{row.words}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {start + count < matching.length && (
        <button type="button" onClick={() => setCount(count + PAGE)}>
          Show later lines
        </button>
      )}
    </div>
  );
};
