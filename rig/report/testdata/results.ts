/**
 * Writes a results directory as a run would have left it: recovery/stale-write on two kernels, five seeds each, and on
 * request a second scenario whose cells have the rarer statuses, or one on two kernels of its own. For tests of the report,
 * and to look at it.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Status } from "../../core/names.ts";
import type { History, HistoryEvent } from "../../history/event.ts";
import { readHistory } from "../../history/reader.ts";
import { openHistory } from "../../history/writer.ts";
import type { Finding } from "../../oracle/finding.ts";
import type { Cell, CellSummary, Comparison, KernelIdentity, Run } from "../../results/schema.ts";
import { type StaleWrite, type StaleWriteOptions, staleWrite } from "./stale-write.ts";

export const BASE: KernelIdentity = {
  name: "debian-5.10",
  release: "5.10.0-46-amd64",
  version: "#1 SMP Debian 5.10.262-1 (2025-10-14)",
  package: "linux-image-5.10.0-46-amd64",
  packageVersion: "5.10.262-1",
  sha256: "3f0a8d2c51b7e9466c0d8ab0d0f3c2a1e5b4978812ab34cd56ef7890a1b2c3d4",
  source: "bullseye-security",
};
export const HEAD: KernelIdentity = {
  name: "debian-6.1",
  release: "6.1.0-49-amd64",
  version: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2025-10-20)",
  package: "linux-image-6.1.0-49-amd64",
  packageVersion: "6.1.192-1",
  sha256: "91c7d4e2aa03f1b56de8890c7755b3a2ce14d0f9e8b7a6c5d4e3f2019a8b7c6d",
  source: "bookworm",
};

/** Kernels that one scenario has for itself, with the long names that built kernels have. */
export const OWN_BASE: KernelIdentity = {
  name: "linux-5.10+without-seed+offload-model+slow-disconnect",
  release: "5.10.262",
  sha256: "7d1b09c2a4e655f8d0a3b1c2e4f6978812ab34cd56ef7890a1b2c3d43f0a8d2c",
  source: "linux-source-5.10 5.10.262-1 of bullseye-security, built by the rig",
};
export const OWN_HEAD: KernelIdentity = {
  ...OWN_BASE,
  name: "linux-5.10+offload-model+slow-disconnect",
  sha256: "c2a4e655f8d0a3b1c2e4f6978812ab34cd56ef7890a1b2c3d43f0a8d2c7d1b09",
};

const STALE = {
  name: "recovery/stale-write",
  title: "writes of a dead path land after newer data",
  about: ["c0920cd36f17", "788b71c54f21"],
  healthy: "Once a write has been repeated on another path and overwritten, nothing of it reaches the disk any more.",
};
const OFFLOAD = {
  name: "recovery/offload-stale-write",
  title: "an offload driver delivers what was given back",
  about: ["23d6fefbb3f6"],
  healthy: "The endpoint is disconnected before commands are given back.",
};
const LOGOUT = {
  name: "recovery/logout-while-failing",
  title: "a logout while the connection is failing",
  about: ["23d6fefbb3f6"],
  healthy: "The logout returns, and no session is left behind.",
};

export interface FixtureOptions {
  readonly seeds?: number;
  /** A second scenario with ERROR, MISS and SKIP cells. */
  readonly mixed?: boolean;
  /** A scenario with a base and a head of its own. */
  readonly ownKernels?: boolean;
  /** Changes one history before it is made. */
  readonly change?: (o: StaleWriteOptions) => StaleWriteOptions;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const phasesOf = (events: readonly HistoryEvent[]) =>
  events.flatMap(begin => {
    if (begin.kind !== "phase" || begin.edge !== "begin") return [];
    const end = events.find(e => e.kind === "phase" && e.edge === "end" && e.name === begin.name);
    return [{ name: begin.name, ms: Math.round(((end?.t ?? begin.t) - begin.t) / 1e6) }];
  });

/** From a line of `made.history` to the one on which a stored copy of it has the same event. */
const linesIn = (made: StaleWrite, stored: History): ReadonlyMap<number, number> => {
  const pairs = made.history.lines.map((line, index) => [line, stored.lines[index] ?? 0] as const);
  for (const { op, invokeLine, doneLine } of made.history.operations) {
    const copy = stored.operations.get(op);
    pairs.push([invokeLine, copy?.invokeLine ?? 0]);
    if (doneLine !== undefined) pairs.push([doneLine, copy?.doneLine ?? 0]);
  }
  return new Map(pairs);
};

/** Writes the history as the rig would; says what findings about `made` are in the file's own lines. */
const writeHistory = async (file: string, made: StaleWrite, scenario: string): Promise<readonly Finding[]> => {
  const { run, kernel, seed } = made.header;
  const start = 0n;
  const writer = await openHistory(file, { run, scenario, kernel, seed }, start);
  for (const { t, ...event } of made.events) writer.record(event, start + BigInt(t));
  await writer.close();
  const stored = await readHistory(file);
  const lines = linesIn(made, stored);
  return made.findings.map(finding => ({ ...finding, lines: finding.lines.map(line => lines.get(line) ?? line) }));
};

const cellOf = (
  made: StaleWrite,
  scenario: Run["scenarios"][number],
  kernel: KernelIdentity,
  findings: readonly Finding[],
  ndjson: string,
  consoleText: string,
): Cell => {
  const last = made.events.at(-1);
  const pathDrop = made.events.filter(e => e.kind === "evidence");
  const invoked = made.events.filter(e => e.kind === "invoke").length;
  const seed = made.header.seed;
  return {
    version: 1,
    run: made.header.run,
    scenario: scenario.name,
    title: scenario.title,
    about: scenario.about,
    kernel,
    seed,
    status: findings.length > 0 ? "FAIL" : "PASS",
    findings: [...findings],
    phases: phasesOf(made.events),
    startedAt: made.header.startedAt,
    durationMs: Math.round((last?.t ?? 0) / 1e6),
    sessions: (["a", "b"] as const).map(path => ({
      path,
      values: {
        HeaderDigest: "None",
        DataDigest: "None",
        InitialR2T: "No",
        ImmediateData: "Yes",
        FirstBurstLength: "262144",
        MaxRecvDataSegmentLength: "262144",
        "noop_out_interval (sysfs)": "1",
        "noop_out_timeout (sysfs)": "1",
        "recovery_tmo (sysfs)": "0",
        queue_depth: "32",
      },
    })),
    faults: pathDrop.map(({ fault, bit, gone, text, counters }) => ({ fault, bit, gone, text, counters })),
    operations: { invoked, ok: invoked, failed: 0, unanswered: 0 },
    reproduce: `rig run ${scenario.name} --kernel ${kernel.name} --seed ${seed}`,
    files: [
      { name: "history.ndjson", bytes: Buffer.byteLength(ndjson), sha256: sha256(ndjson) },
      { name: "console-initiator.log", bytes: Buffer.byteLength(consoleText), sha256: sha256(consoleText) },
    ],
  };
};

const directoryOf = (scenario: string, kernel: string, seed: number) => `cells/${scenario}/${kernel}/${seed}`;

const rareCells = (): CellSummary[] => {
  const cell = (kernel: string, seed: number, status: Status, reason?: string): CellSummary => ({
    scenario: LOGOUT.name,
    kernel,
    seed,
    status,
    ...(reason === undefined ? {} : { reason }),
    findings: [],
    phases: [],
    durationMs: 0,
    directory: directoryOf(LOGOUT.name, kernel, seed),
  });
  return [
    cell(
      BASE.name,
      1,
      "ERROR",
      "path-drop:a#1 did not bite: 0 packets dropped in 6.2 s. The scenario proves nothing without it.",
    ),
    cell(BASE.name, 2, "SKIP", "one cell is enough after an error that will repeat"),
    cell(HEAD.name, 1, "MISS", "no netem in this host's kernel, and none in the target's: the delay cannot be made."),
    cell(HEAD.name, 2, "SKIP", "needs iser; this run is limited to tcp"),
  ];
};

const compare = (
  cells: readonly CellSummary[],
  scenario: string,
  base: KernelIdentity,
  head: KernelIdentity,
): Comparison => {
  const side = (kernel: string) => {
    const mine = cells.filter(c => c.scenario === scenario && c.kernel === kernel);
    const fail = mine.filter(c => c.status === "FAIL").length;
    const pass = mine.filter(c => c.status === "PASS").length;
    return { kernel, fail, pass, other: mine.length - fail - pass };
  };
  return {
    scenario,
    base: side(base.name),
    head: side(head.name),
    verdict: "fixed",
    p: 2 / 252,
    words: `fixed: ${base.name} corrupts data in 5 of 5 cells, ${head.name} in none of 5 (p = 0.008)`,
  };
};

/** Five cells of one scenario on one kernel, and their files. */
const writeCells = async (
  directory: string,
  scenario: Run["scenarios"][number],
  kernel: KernelIdentity,
  broken: boolean,
  o: FixtureOptions,
): Promise<CellSummary[]> => {
  const cells: CellSummary[] = [];
  for (let seed = 1; seed <= (o.seeds ?? 5); seed += 1) {
    const plain: StaleWriteOptions = {
      kernel: kernel.name,
      seed,
      broken,
      ...(seed === 3 ? { staleSlots: 10 } : {}),
      ...(seed === 5 && broken ? { foreignSlot: 3 } : {}),
    };
    const made = staleWrite(o.change === undefined ? plain : o.change(plain));
    const relative = directoryOf(scenario.name, kernel.name, seed);
    const historyFile = join(directory, relative, "history.ndjson");
    await mkdir(join(directory, relative), { recursive: true });
    const findings = await writeHistory(historyFile, made, scenario.name);
    const consoleText = made.events
      .map(e => (e.kind === "console" && e.node === "initiator" ? `${e.line}\n` : ""))
      .join("");
    const cell = cellOf(made, scenario, kernel, findings, await readFile(historyFile, "utf8"), consoleText);
    await writeFile(join(directory, relative, "console-initiator.log"), consoleText);
    await writeFile(join(directory, relative, "cell.json"), JSON.stringify(cell, undefined, 2));
    cells.push({
      scenario: cell.scenario,
      kernel: kernel.name,
      seed,
      status: cell.status,
      findings: cell.findings.map(f => ({ oracle: f.oracle, class: f.class, title: f.title })),
      phases: cell.phases,
      durationMs: cell.durationMs,
      directory: relative,
    });
  }
  return cells;
};

export const writeFixture = async (directory: string, o: FixtureOptions = {}): Promise<Run> => {
  const own = o.ownKernels === true;
  const trials = [
    { scenario: STALE, base: BASE, head: HEAD },
    ...(own ? [{ scenario: OFFLOAD, base: OWN_BASE, head: OWN_HEAD }] : []),
  ];
  const cells: CellSummary[] = [];
  for (const { scenario, base, head } of trials) {
    cells.push(...(await writeCells(directory, scenario, base, true, o)));
    cells.push(...(await writeCells(directory, scenario, head, false, o)));
  }
  const run: Run = {
    version: 1,
    id: "20251122-134900",
    tool: { name: "iscsi-rig", version: "0.1.0", commit: "4be1f6a0c2d9" },
    command: own
      ? ["rig", "compare", "--repeat", "5"]
      : ["rig", "compare", STALE.name, "--base", BASE.name, "--head", HEAD.name, "--repeat", "5"],
    startedAt: "2025-11-22T13:49:00.000Z",
    durationMs: 61_400,
    machine: {
      hostname: "bench-3",
      os: "Debian GNU/Linux 12 (bookworm)",
      kernel: "6.1.0-49-amd64",
      cpus: 2,
      cpuModel: "Intel(R) Xeon(R) Platinum 8488C",
      memoryMiB: 7952,
      accelerator: "tcg",
      acceleratorWhy: "/dev/kvm is there, but a probe guest did not answer within 4 s",
      docker: "20.10.24",
      qemu: "7.2.22",
    },
    kernels: trials.flatMap(({ base, head }) => [base, head]),
    scenarios: [...trials.map(({ scenario }) => scenario), ...(o.mixed === true ? [LOGOUT] : [])],
    cells: o.mixed === true ? [...cells, ...rareCells()] : cells,
    comparison: trials.map(({ scenario, base, head }) => compare(cells, scenario.name, base, head)),
    verdict: own
      ? "2 scenarios, each on its own base and head: 0 regressed, 2 fixed."
      : "debian-6.1 fixes 1 of 1 scenarios that fail on debian-5.10: recovery/stale-write.",
    complete: true,
    exitStatus: 0,
  };
  await writeFile(join(directory, "run.json"), JSON.stringify(run, undefined, 2));
  return run;
};
