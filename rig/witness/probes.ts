/**
 * Where LIO is looked at. A command is met when its header is taken apart (iscsit_setup_scsi_cmd, for TCP and iSER alike), when
 * it is handed to the disk (__target_execute_cmd), and when its answer is (lio_queue_status, lio_queue_data_in); a connection
 * when it is torn down, for its memory may be the next one's. Those are probes. Failures alone come from a tracepoint,
 * target_cmd_complete, which knows the status. A kernel without probes has the two tracepoints of LIO to tell it all.
 *
 * Offsets into the command's header are those of RFC 7143, 11.3: LUN at 8, initiator task tag at 16, CmdSN at 24, CDB at 32.
 */

interface Probe {
  readonly name: ProbeName;
  readonly module: "iscsi_target_mod" | "target_core_mod";
  readonly symbol: string;
  /** What is kept of the function's arguments, which come in %di, %si and %dx. */
  readonly fetch: string;
}

export const PROBE_NAMES = ["setup", "execute", "status", "datain", "close"] as const;
export type ProbeName = (typeof PROBE_NAMES)[number];

export const PROBES: readonly Probe[] = [
  {
    name: "setup",
    module: "iscsi_target_mod",
    symbol: "iscsit_setup_scsi_cmd",
    fetch:
      "conn=%di:x64 cmd=%si:x64 cdb0=+32(%dx):x64 cdb1=+40(%dx):x64 itt=+16(%dx):x32 cmdsn=+24(%dx):x32 lun=+8(%dx):x16",
  },
  { name: "execute", module: "target_core_mod", symbol: "__target_execute_cmd", fetch: "cmd=%di:x64" },
  { name: "status", module: "iscsi_target_mod", symbol: "lio_queue_status", fetch: "cmd=%di:x64" },
  { name: "datain", module: "iscsi_target_mod", symbol: "lio_queue_data_in", fetch: "cmd=%di:x64" },
  { name: "close", module: "iscsi_target_mod", symbol: "iscsit_close_connection", fetch: "conn=%di:x64" },
];

/** Without these two no probe is of any use. */
export const ESSENTIAL: readonly ProbeName[] = ["setup", "execute"];

/** Folder of the tracing files: automounted below debugfs, which every guest has mounted. */
export const TRACING = "/sys/kernel/debug/tracing";

/** The group that the probes are put under. */
const GROUP = "rig";

export const TRACEPOINTS = { start: "target/target_sequencer_start", complete: "target/target_cmd_complete" } as const;

export const probeEvent = (name: ProbeName): string => `${GROUP}/${name}`;

/** A line for `kprobe_events`. A module's name before the symbol's saves the search of all symbols; built in, there is none. */
export const probeLine = ({ name, module, symbol, fetch }: Probe, isModule: boolean): string =>
  `p:${probeEvent(name)} ${isModule ? `${module}:` : ""}${symbol} ${fetch}\n`;

/** Enough for 30,000 commands. What comes later overwrites what came first: the end is what a verdict needs. */
export const RING_KIB = 4096;

/** What of the witness is in a snapshot, for its key. */
export const WITNESS_PARTS: readonly string[] = [
  ...PROBES.map(probe => probeLine(probe, true)),
  String(RING_KIB),
  ...Object.values(TRACEPOINTS),
];
