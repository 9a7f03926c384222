/**
 * The closed vocabularies of the rig: the nodes and paths of a lab, and the statuses of a cell. Everything that is
 * stored or compared uses these words and no others.
 */

/** The two ends of a lab. Each is one container that holds one QEMU microVM. */
export const NODE_NAMES = ["target", "initiator"] as const;
export type NodeName = (typeof NODE_NAMES)[number];

/** The two layer-2 links between the nodes. One iSCSI session runs over each. */
export const PATH_NAMES = ["a", "b"] as const;
export type PathName = (typeof PATH_NAMES)[number];

/** Cell statuses, worst first, as KCIDB orders them. ERROR and MISS never count as PASS or as FAIL. */
export const STATUSES = ["FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP"] as const;
export type Status = (typeof STATUSES)[number];

/** What a comparison of two kernels on one scenario can say. */
export const VERDICTS = ["fixed", "regressed", "both-fail", "no-difference", "inconclusive"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Bytes in one sector, the unit in which the ledger keeps account. */
export const SECTOR_BYTES = 512;

/** Stands in a history for the rest of a console that said too much: what came after it nobody has seen. */
export const CONSOLE_FULL = "rig: this console said too much; the rest is in its log alone";

/** The phase in which the final state is read; what cannot be read then is a finding. */
export const READ_BACK_PHASE = "read-back";
