/** What is stored of a cell: cell.json, and the summary of it that its run keeps. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { shellQuote } from "../core/argv.ts";
import { sha256File } from "../core/cache.ts";
import { type Cell, type CellSummary, RESULTS_VERSION } from "../results/schema.ts";
import type { Bench } from "../scenario/controls.ts";
import type { CellRequest } from "./cell-request.ts";
import type { JudgedCell } from "./judge-cell.ts";
import type { ReadyLab } from "./labs.ts";
import type { Phase } from "./phases.ts";

/** Written by a lab for as long as it runs. */
const GROWS = /^console-.*\.log$/;

/** Everything in a cell's directory but cell.json itself, and but what a lab that is kept goes on writing. */
const listFiles = async (dir: string, isKept: boolean): Promise<Cell["files"]> => {
  const names = (await readdir(dir)).filter(name => name !== "cell.json" && !(isKept && GROWS.test(name))).toSorted();
  return Promise.all(
    names.map(async name => ({
      name,
      bytes: (await stat(path.join(dir, name))).size,
      sha256: await sha256File(path.join(dir, name)),
    })),
  );
};

interface Record {
  readonly request: Pick<CellRequest, "run" | "scenario" | "kernel" | "seed" | "attempt" | "keepLab">;
  /** The cell's directory. */
  readonly dir: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly verdict: JudgedCell;
  readonly phases: Phase[];
  readonly ready: ReadyLab | undefined;
  readonly bench: Bench | undefined;
}

/** The content of cell.json. */
export const cellRecord = async ({ request, dir, verdict, ready, bench, ...times }: Record): Promise<Cell> => {
  const { scenario, kernel, seed, run } = request;
  const { invoked, ok, failed } = bench?.ledger.counts ?? { invoked: 0, ok: 0, failed: 0 };
  const version = ready?.lab.nodes.initiator.version;
  return {
    version: RESULTS_VERSION,
    run,
    scenario: scenario.name,
    title: scenario.title,
    about: scenario.about,
    kernel: { ...kernel.identity, ...(version === undefined ? {} : { version }) },
    seed,
    status: verdict.status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    findings: [...verdict.findings],
    ...times,
    ...(ready === undefined ? {} : { lab: { how: ready.how, ...(ready.why === undefined ? {} : { why: ready.why }) } }),
    attempt: request.attempt,
    sessions: (bench?.sessions ?? []).map(session => ({ path: session.path, values: { ...session.values } })),
    faults: (bench?.desk.evidence ?? []).map(evidence => ({ ...evidence, counters: { ...evidence.counters } })),
    operations: { invoked, ok, failed, unanswered: invoked - ok - failed },
    reproduce: `npx rig run ${scenario.name} --kernel ${shellQuote(kernel.identity.given ?? kernel.name)} --seed ${seed}`,
    files: await listFiles(dir, request.keepLab),
  };
};

/** What a run keeps of a cell. */
export const summaryOf = (cell: Cell, directory: string): CellSummary => ({
  scenario: cell.scenario,
  kernel: cell.kernel.name,
  seed: cell.seed,
  status: cell.status,
  ...(cell.reason === undefined ? {} : { reason: cell.reason }),
  findings: cell.findings.map(finding => ({ oracle: finding.oracle, class: finding.class, title: finding.title })),
  phases: cell.phases,
  durationMs: cell.durationMs,
  ...(cell.lab === undefined ? {} : { lab: cell.lab }),
  ...(cell.attempt === undefined ? {} : { attempt: cell.attempt }),
  directory,
});
