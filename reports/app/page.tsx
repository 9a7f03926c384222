/** The whole page: the verdict, where it comes from, the table, and then every cell by what it has to tell. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { STATUSES } from "../../rig/core/names.ts";
import { type Bundle, cellId } from "../../rig/report/bundle.ts";
import type { Run } from "../../rig/results/schema.ts";
import { CellView } from "./cell.tsx";
import { type CellGroup, groupsOf } from "./groups.ts";
import { KernelName } from "./kernel-name.tsx";
import { countBy, Matrix } from "./matrix.tsx";
import { Provenance } from "./provenance.tsx";
import { cellHref, type Route, useRoute } from "./route.ts";
import { Glyph, StatusChip, VerdictChip } from "./status.tsx";
import { TimingSection } from "./timing.tsx";
import { counted } from "./units.ts";

/** The exit status is the run's own judgement: 0 nothing wrong with head, 1 something is, 3 the rig could not tell. */
const toneOf = (run: Run): string => (run.exitStatus === 0 ? "good" : run.exitStatus === 1 ? "bad" : "warn");

const Verdict = ({ run }: { readonly run: Run }) => {
  const counts = countBy(run.cells);
  return (
    <header class={`verdict ${toneOf(run)}`}>
      <p class="product">iscsi-rig report</p>
      <h1>{run.verdict}</h1>
      <p class="counts" aria-label="Cells by status">
        {STATUSES.map(s => (
          <StatusChip key={s} status={s} count={counts.get(s) ?? 0} />
        ))}
        <span class="quiet">{counted(run.cells.length, "cell")}</span>
      </p>
      {run.comparison.map(c => (
        <p key={c.scenario} class="sentence">
          <VerdictChip verdict={c.verdict} />
          <span>
            <b class="mono">{c.scenario}</b> {c.words}
          </span>
        </p>
      ))}
      {!run.complete && (
        <p class="banner warn">The run was interrupted: this is what there is, not what was asked for.</p>
      )}
    </header>
  );
};

interface GroupProps {
  readonly bundle: Bundle;
  readonly group: CellGroup;
  readonly route: Route;
  readonly startsOpen: boolean;
}

const GroupView = ({ bundle, group, route, startsOpen }: GroupProps) => {
  const { run } = bundle;
  const wanted = group.cells.find(({ cell }) => cellId(cell) === route.cell);
  const [open, setOpen] = useState(startsOpen || wanted !== undefined);
  const [last, setLast] = useState(wanted ?? group.cells[0]);
  const section = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (wanted === undefined) return;
    setLast(wanted);
    setOpen(true);
    if (route.line === undefined) section.current?.scrollIntoView({ block: "start" });
  }, [route]);
  const shown = wanted ?? last;
  const line = useMemo(
    () => (wanted === undefined || route.line === undefined ? undefined : { line: route.line }),
    [route],
  );
  const { first } = group;
  const told = first.findings.map(f => f.title).join("; ");
  return (
    <details
      class={`group ${first.status}`}
      ref={section}
      open={open}
      onToggle={event => {
        setOpen(event.currentTarget.open);
      }}
    >
      <summary>
        <StatusChip status={first.status} count={group.cells.length} />
        <span class="where">
          <b class="mono">{first.scenario}</b> on{" "}
          <b>
            <KernelName name={first.kernel} />
          </b>{" "}
          <span class="role">{group.side}</span>
        </span>
        <span class="told">{told !== "" || open ? told : first.reason}</span>
      </summary>
      {open && shown !== undefined && (
        <>
          {group.cells.length > 1 && (
            <nav class="seeds" aria-label="Seeds">
              {group.cells.map(({ cell }) => (
                <a
                  key={cell.seed}
                  class={`seed wide ${cell.status}`}
                  href={cellHref(cellId(cell))}
                  aria-current={cell === shown.cell ? "true" : undefined}
                >
                  <Glyph of={cell.status} /> seed {cell.seed}
                </a>
              ))}
            </nav>
          )}
          <CellView
            summary={shown.cell}
            healthy={run.scenarios.find(s => s.name === shown.cell.scenario)?.healthy}
            block={bundle.blocks[shown.index] ?? null}
            line={line}
          />
        </>
      )}
    </details>
  );
};

/** How many groups of failures are open at first: one is read, ten are a wall. */
const OPEN_GROUPS = 1;

export const Page = ({ bundle }: { readonly bundle: Bundle }) => {
  const route = useRoute();
  const groups = useMemo(() => groupsOf(bundle.run), [bundle]);
  return (
    <>
      <Verdict run={bundle.run} />
      <Provenance run={bundle.run} />
      <section>
        <h2>Scenarios and kernels</h2>
        <Matrix run={bundle.run} current={route.cell} />
      </section>
      <section>
        <h2>Cells</h2>
        {groups.map((group, i) => (
          <GroupView
            key={group.key}
            bundle={bundle}
            group={group}
            route={route}
            startsOpen={i < OPEN_GROUPS && group.first.status === "FAIL" && route.cell === undefined}
          />
        ))}
      </section>
      <TimingSection run={bundle.run} />
      <footer class="quiet">
        iscsi-rig {bundle.run.tool.version}. One file, no network. The evidence is in the <code>cells</code> directory
        beside it.
      </footer>
    </>
  );
};
