/** Scenarios against kernels: counts by status, one small square a seed, and for a comparison its verdict and p. */
import { STATUSES, type Status } from "../../rig/core/names.ts";
import { cellId } from "../../rig/report/bundle.ts";
import type { CellSummary, Comparison, Run } from "../../rig/results/schema.ts";
import { cellHref } from "./route.ts";
import { Glyph, StatusChip, VerdictChip } from "./status.tsx";
import { formatP } from "./units.ts";

export const kernelNames = (run: Run): string[] => [
  ...new Set([...run.kernels.map(k => k.name), ...run.cells.map(c => c.kernel)]),
];
export const scenarioNames = (run: Run): string[] => [
  ...new Set([...run.scenarios.map(s => s.name), ...run.cells.map(c => c.scenario)]),
];

export const countBy = (cells: readonly CellSummary[]): ReadonlyMap<Status, number> =>
  new Map(STATUSES.map(s => [s, cells.filter(c => c.status === s).length]));

const Pair = ({ cells, current }: { readonly cells: readonly CellSummary[]; readonly current: string | undefined }) => {
  if (cells.length === 0) return <span class="quiet">not run</span>;
  const counts = countBy(cells);
  return (
    <>
      <span class="counts">
        {STATUSES.filter(s => (counts.get(s) ?? 0) > 0).map(s => (
          <StatusChip key={s} status={s} count={counts.get(s) ?? 0} />
        ))}
      </span>
      <span class="seeds">
        {cells.map(c => {
          const id = cellId(c);
          const words = `seed ${String(c.seed)}: ${c.status}`;
          return (
            <a
              key={id}
              class={`seed ${c.status}`}
              href={cellHref(id)}
              title={words}
              aria-label={words}
              aria-current={id === current ? "true" : undefined}
            >
              <Glyph of={c.status} />
            </a>
          );
        })}
      </span>
    </>
  );
};

const roleOf = (comparison: readonly Comparison[], kernel: string): string => {
  if (comparison.some(c => c.base.kernel === kernel)) return "base";
  return comparison.some(c => c.head.kernel === kernel) ? "head" : "";
};

export const Matrix = ({ run, current }: { readonly run: Run; readonly current: string | undefined }) => {
  const kernels = kernelNames(run);
  const compared = run.comparison.length > 0;
  return (
    <div class="scroll">
      <table class="matrix">
        <thead>
          <tr>
            <th>scenario</th>
            {kernels.map(k => (
              <th key={k}>
                <span class="mono">{k}</span> <span class="role">{roleOf(run.comparison, k)}</span>
              </th>
            ))}
            {compared && <th>verdict</th>}
            {compared && <th class="number">p</th>}
          </tr>
        </thead>
        <tbody>
          {scenarioNames(run).map(name => {
            const comparison = run.comparison.find(c => c.scenario === name);
            return (
              <tr key={name}>
                <th scope="row">
                  <span class="mono">{name}</span>
                  <span class="quiet">{run.scenarios.find(s => s.name === name)?.title}</span>
                </th>
                {kernels.map(k => (
                  <td key={k}>
                    <Pair cells={run.cells.filter(c => c.scenario === name && c.kernel === k)} current={current} />
                  </td>
                ))}
                {compared && <td>{comparison !== undefined && <VerdictChip verdict={comparison.verdict} />}</td>}
                {compared && <td class="number">{comparison !== undefined && formatP(comparison.p)}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
};
