/** What the oracles found: the claim, its explanation, the lines that prove it, and the sectors it is about. */
import { useState } from "preact/hooks";
import type { BadExtent, Finding } from "../../rig/oracle/finding.ts";
import { commandKey, namedCommands } from "./command-lanes.ts";
import { Commands, type Witness } from "./commands.tsx";
import { cellHref } from "./route.ts";
import { expectedWords, lunOf } from "./sectors.ts";
import { formatCount } from "./units.ts";

const FIRST_ROWS = 8;

/** Neighbours with one story are one row: thirty-two slots in a line should not be thirty-two lines. */
const joined = (extents: readonly BadExtent[]): BadExtent[] => {
  const rows: BadExtent[] = [];
  for (const extent of extents) {
    const last = rows.at(-1);
    if (
      last?.via === extent.via &&
      lunOf(last) === lunOf(extent) &&
      last.sector + last.sectors === extent.sector &&
      last.found.label === extent.found.label &&
      last.found.head === extent.found.head &&
      expectedWords(last) === expectedWords(extent)
    ) {
      // Why each is legal differs from neighbour to neighbour; the explanation has the first.
      const expected = last.expected.map(({ op, label }) => ({ op, label }));
      rows[rows.length - 1] = { ...last, expected, sectors: last.sectors + extent.sectors };
    } else rows.push(extent);
  }
  return rows;
};

const hexLines = (head: string): string =>
  (head.match(/.{1,32}/g) ?? [])
    .map((line, i) => {
      const bytes = line.match(/../g) ?? [];
      const text = bytes.map(b => {
        const code = Number.parseInt(b, 16);
        return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : "·";
      });
      return `${(i * 16).toString(16).padStart(4, "0")}  ${bytes.join(" ").padEnd(47)}  ${text.join("")}`;
    })
    .join("\n");

const ExtentTable = ({ extents }: { readonly extents: readonly BadExtent[] }) => {
  const [all, setAll] = useState(false);
  const rows = joined(extents);
  const shown = all ? rows : rows.slice(0, FIRST_ROWS);
  return (
    <div class="scroll">
      <table class="extents">
        <thead>
          <tr>
            <th>sectors</th>
            <th class="number">count</th>
            <th>should hold</th>
            <th>holds</th>
            <th>seen from</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(e => (
            <tr key={`${e.via} ${String(lunOf(e))} ${String(e.sector)}`}>
              <td class="mono">
                {lunOf(e) === 0 ? "" : `LUN ${String(lunOf(e))}: `}
                {e.sectors === 1
                  ? formatCount(e.sector)
                  : `${formatCount(e.sector)} – ${formatCount(e.sector + e.sectors - 1)}`}
              </td>
              <td class="number">{formatCount(e.sectors)}</td>
              <td>
                {expectedWords(e)}
                {e.expected.map(
                  ({ op, label, why }) =>
                    why !== undefined && (
                      <span key={op} class="why">
                        {e.expected.length > 1 ? `${label}: ${why}` : why}
                      </span>
                    ),
                )}
              </td>
              <td>
                <b class="wrong">{e.found.label}</b>
                {e.found.head !== undefined && <pre class="hex">{hexLines(e.found.head)}</pre>}
              </td>
              <td>{e.via === "initiator" ? "initiator" : "target's backing device"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown.length && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {formatCount(rows.length)} rows
        </button>
      )}
    </div>
  );
};

interface Props {
  readonly findings: readonly Finding[];
  readonly cell: string;
  /** What the second witness's word is worth, where there was one. */
  readonly witness: Witness | undefined;
  /** The line of a command, where the page has it. */
  readonly commandLines: ReadonlyMap<string, number>;
}

export const Findings = ({ findings, cell, witness, commandLines }: Props) => (
  <>
    {findings.map((finding, i) => (
      <article key={`${finding.oracle}/${finding.class}/${String(i)}`} class="finding">
        <h4>
          <span class="class">{finding.class}</span> {finding.title}
        </h4>
        <div class="claim">
          <div>
            <p class="explanation">{finding.explanation}</p>
            {finding.lines.length > 0 && (
              <p class="proof">
                Proof in history.ndjson:{" "}
                {finding.lines.map((line, n) => (
                  <a key={line} href={cellHref(cell, line)}>
                    <b>{n + 1}</b> line {line}
                  </a>
                ))}
              </p>
            )}
            <p class="quiet by">found by the {finding.oracle} oracle</p>
          </div>
          {finding.extents !== undefined && finding.extents.length > 0 && <ExtentTable extents={finding.extents} />}
        </div>
        {finding.oracle === "integrity" && (
          <Commands
            commands={namedCommands(finding)}
            witness={witness}
            hrefOf={command => {
              const line = commandLines.get(commandKey(command.tag, command.executedNs));
              return line === undefined ? undefined : cellHref(cell, line);
            }}
          />
        )}
        {finding.excerpt !== undefined && finding.excerpt.length > 0 && (
          <pre class="excerpt">{finding.excerpt.join("\n")}</pre>
        )}
      </article>
    ))}
  </>
);
