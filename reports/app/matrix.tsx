/**
 * Scenarios against kernels: counts by status, one small square a seed, and for a comparison its verdict and p. Where each
 * scenario has its own two kernels the columns are base and head: a column for every kernel would be empty but for one row.
 */
import { STATUSES, type Status } from "../../rig/core/names.ts";
import { cellId } from "../../rig/report/bundle.ts";
import type { CellSummary, Run } from "../../rig/results/schema.ts";
import { SIDES } from "./groups.ts";
import { KernelName } from "./kernel-name.tsx";
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

interface Column {
  readonly key: string;
  /** The kernel of the whole column; absent where each scenario has its own. */
  readonly kernel?: string;
  readonly role: string;
  readonly kernelOf: (scenario: string) => string | undefined;
}

const columnsOf = (run: Run): readonly Column[] => {
  const [first, ...others] = run.comparison;
  if (others.some(c => SIDES.some(side => c[side].kernel !== first?.[side].kernel)))
    return SIDES.map(side => ({
      key: side,
      role: side,
      kernelOf: scenario => run.comparison.find(c => c.scenario === scenario)?.[side].kernel,
    }));
  return kernelNames(run).map(kernel => ({
    key: kernel,
    kernel,
    role: SIDES.find(side => first?.[side].kernel === kernel) ?? "",
    kernelOf: () => kernel,
  }));
};

export const Matrix = ({ run, current }: { readonly run: Run; readonly current: string | undefined }) => {
  const columns = columnsOf(run);
  const compared = run.comparison.length > 0;
  return (
    <div class="scroll">
      <table class="matrix">
        <thead>
          <tr>
            <th>scenario</th>
            {columns.map(({ key, kernel, role }) => (
              <th key={key}>
                {kernel === undefined ? (
                  role
                ) : (
                  <>
                    <KernelName name={kernel} /> <span class="role">{role}</span>
                  </>
                )}
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
                {columns.map(({ key, kernel, kernelOf }) => {
                  const own = kernelOf(name);
                  return (
                    <td key={key}>
                      {kernel === undefined && own !== undefined && (
                        <p class="own">
                          <KernelName name={own} />
                        </p>
                      )}
                      <Pair cells={run.cells.filter(c => c.scenario === name && c.kernel === own)} current={current} />
                    </td>
                  );
                })}
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
