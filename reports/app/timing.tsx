/**
 * Where the time of the run went: for each scenario and kernel one bar of its phases, all to one scale, and the figures
 * in a table. A bar is a typical cell: each phase is the median over all cells, one without it counting as 0.
 */
import {
  cellsThatRan,
  labsOf,
  PHASES,
  type PhaseTiming,
  paceOf,
  type Timing,
  timingOf,
} from "../../rig/report/timing.ts";
import type { CellSummary, Run, Starved } from "../../rig/results/schema.ts";
import { KernelName } from "./kernel-name.tsx";
import { counted, formatCount, formatMs } from "./units.ts";

interface Row {
  readonly scenario: string;
  readonly kernel: string;
  readonly timing: Timing;
}

const rowsOf = (cells: readonly CellSummary[]): readonly Row[] =>
  [...Map.groupBy(cells, cell => `${cell.scenario}\n${cell.kernel}`).values()].flatMap(group =>
    group[0] === undefined ? [] : [{ scenario: group[0].scenario, kernel: group[0].kernel, timing: timingOf(group) }],
  );

/** What a bar is as long as. */
const lengthOf = ({ phases }: Timing): number => phases.reduce((ms, phase) => ms + phase.typicalMs, 0);

/** A phase has its colour wherever it is shown; names of other rigs share one. */
const colourOf = (name: string): string => (PHASES.includes(name) ? `phase-${name}` : "phase-other");

const rangeOf = ({ cells, minMs, maxMs }: PhaseTiming, of: number): string =>
  `${formatMs(minMs)} to ${formatMs(maxMs)} in ${String(cells)} of ${counted(of, "cell")}`;

const Bar = ({ timing, longest }: { readonly timing: Timing; readonly longest: number }) => {
  const shown = timing.phases.filter(phase => phase.typicalMs > 0);
  return (
    <div class="stack" role="img" aria-label={shown.map(p => `${p.name} ${formatMs(p.typicalMs)}`).join(", ")}>
      {shown.map(phase => (
        <span
          key={phase.name}
          class={colourOf(phase.name)}
          style={{ width: `${((phase.typicalMs / longest) * 100).toFixed(3)}%` }}
          title={`${phase.name} ${formatMs(phase.typicalMs)}; ${rangeOf(phase, timing.whole.cells)}`}
        >
          <b>{phase.name}</b>
          <i>{formatMs(phase.typicalMs)}</i>
        </span>
      ))}
    </div>
  );
};

const Bars = ({ rows }: { readonly rows: readonly Row[] }) => {
  const longest = Math.max(1, ...rows.map(row => lengthOf(row.timing)));
  return (
    <div class="stacks">
      {[...Map.groupBy(rows, row => row.scenario)].map(([scenario, own]) => (
        <section key={scenario} aria-label={scenario}>
          <h5 class="mono">{scenario}</h5>
          {own.map(({ kernel, timing }) => (
            <div key={kernel} class="stack-row">
              <KernelName name={kernel} />
              <Bar timing={timing} longest={longest} />
              <span class="number">{formatMs(lengthOf(timing))}</span>
            </div>
          ))}
        </section>
      ))}
    </div>
  );
};

const Figures = ({ rows, names }: { readonly rows: readonly Row[]; readonly names: readonly string[] }) => (
  <details class="fold">
    <summary>In figures</summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>scenario</th>
            <th>kernel</th>
            <th class="number">cells</th>
            {names.map(name => (
              <th key={name} class="number">
                {name}
              </th>
            ))}
            <th class="number">whole cell</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ scenario, kernel, timing: { whole, phases } }) => (
            <tr key={`${scenario} ${kernel}`}>
              <td class="mono">{scenario}</td>
              <td>
                <KernelName name={kernel} />
              </td>
              <td class="number">{whole.cells}</td>
              {names.map(name => {
                const phase = phases.find(p => p.name === name);
                return (
                  <td key={name} class="number" title={phase === undefined ? undefined : rangeOf(phase, whole.cells)}>
                    {phase === undefined ? "–" : formatMs(phase.medianMs)}
                    {phase !== undefined && phase.cells < whole.cells && <span class="quiet"> in {phase.cells}</span>}
                  </td>
                );
              })}
              <td class="number">{formatMs(whole.medianMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
    <p class="quiet">
      Medians of the cells that went through a phase; "in 2" tells that only 2 did. In a bar the others count as 0.
    </p>
  </details>
);

const StarvedTries = ({ starved }: { readonly starved: readonly Starved[] }) => (
  <details class="fold starved">
    <summary>{counted(starved.length, "try was", "tries were")} thrown away because the machine was too busy</summary>
    <p class="quiet">What was seen then proves nothing about a kernel. The cells were run again.</p>
    <ul>
      {starved.map(({ scenario, kernel, seed, attempt, reason, directory }) => (
        <li key={directory}>
          <b class="mono">{scenario}</b> on{" "}
          <b>
            <KernelName name={kernel} />
          </b>
          , seed {seed}, try {attempt}: {reason} <span class="quiet mono">{directory}</span>
        </li>
      ))}
    </ul>
  </details>
);

const paceWords = (run: Run): string => {
  const { cells, wallMs, cellsPerHour, sideBySide } = paceOf(run);
  const jobs =
    run.jobs === undefined ? "" : `, ${String(run.jobs.most)} at most (asked for: ${String(run.jobs.asked)})`;
  const labs = labsOf(run.cells);
  return [
    `${counted(cells, "cell")} in ${formatMs(wallMs)}: ${formatCount(Math.round(cellsPerHour))} an hour,`,
    `${sideBySide.toFixed(1)} side by side on average${jobs}.`,
    labs === undefined
      ? ""
      : `${counted(labs.restored, "lab was", "labs were")} restored, ${String(labs.cold)} booted.`,
  ].join(" ");
};

export const TimingSection = ({ run }: { readonly run: Run }) => {
  const rows = rowsOf(cellsThatRan(run));
  const names = timingOf(cellsThatRan(run)).phases.map(phase => phase.name);
  if (rows.length === 0) return null;
  return (
    <section class="timing" id="time">
      <h2>Where the time goes</h2>
      <p>{paceWords(run)}</p>
      <p class="quiet">A bar is a typical cell: the medians of its phases, one after another, all bars to one scale.</p>
      <Bars rows={rows} />
      <p class="key">
        {names.map(name => (
          <span key={name}>
            <i class={`swatch ${colourOf(name)}`} />
            {name}
          </span>
        ))}
      </p>
      <Figures rows={rows} names={names} />
      {run.starved !== undefined && run.starved.length > 0 && <StarvedTries starved={run.starved} />}
    </section>
  );
};
