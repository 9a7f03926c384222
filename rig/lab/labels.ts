/**
 * How the rig knows its own: every container and network carries the labels of its run, its lab and its owner. The owner
 * names one process for ever (boot id, process id, start time), so that what a killed rig left behind can be told from
 * what a running one uses, and from everything that is not the rig's.
 */
import { readFileSync } from "node:fs";

const PREFIX = "org.iscsi-rig";
export const LABEL = { role: PREFIX, run: `${PREFIX}.run`, lab: `${PREFIX}.lab`, owner: `${PREFIX}.owner` } as const;

/** What selects the rig's labs among all of Docker's things. */
export const LAB_FILTER = `${LABEL.role}=lab`;

export interface LabLabels {
  readonly run: string;
  readonly lab: string;
  readonly owner: string;
}

export const labelsOf = (labels: LabLabels): Record<string, string> => ({
  [LABEL.role]: "lab",
  [LABEL.run]: labels.run,
  [LABEL.lab]: labels.lab,
  [LABEL.owner]: labels.owner,
});

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Start time of a process in clock ticks since boot (proc_pid_stat(5), field 22), or undefined if it does not run. */
const startTime = (pid: number | "self"): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command in parentheses may hold blanks and parentheses; what follows the last one does not.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A killed process whose parent never asks is a zombie for as long: it is as dead as one that left no trace.
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
};

/** This process, as an owner. */
export const thisOwner = (): string => `${bootId()}/${process.pid}/${startTime("self") ?? "0"}`;

/** Whether the process that an owner label names is still running. */
export const ownerAlive = (owner: string): boolean => {
  const [boot, pid, start] = owner.split("/");
  if (boot !== bootId() || pid === undefined || !/^[0-9]+$/.test(pid)) return false;
  return start !== undefined && startTime(Number(pid)) === start;
};
