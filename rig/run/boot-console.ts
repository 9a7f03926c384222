/**
 * The consoles of the boot that a snapshot was made from. What the kernels said then is part of every lab that is restored from
 * it; and a lab whose initiator lost a session on the way, as on a machine that is too busy, is no beginning for others.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";

const fileOf = (node: NodeName): string => `console-${node}.log`;

/** What the initiator's kernel says when it loses a connection (scsi_transport_iscsi.c, iscsi_conn_error_event). */
const LOSS = /connection\d+:\d+: detected conn error \(\d+\)/;

/** @throws RIG_LAB_SNAPSHOT where a session of the lab that was booted to be saved was lost before it was. */
export const requireNoLoss = async (directory: string): Promise<void> => {
  const said = LOSS.exec(await readFile(path.join(directory, fileOf("initiator")), "utf8"));
  if (said === null) return;
  throw new RigError(
    "RIG_LAB_SNAPSHOT",
    `The lab that was to be saved lost a session before it was ("${said[0]}"): this machine was too busy.`,
    { blame: "environment", context: { lostSession: true } },
  );
};

/** Puts what is in the snapshot's directory at the beginning of the cell's own consoles, and into its history. */
export const tellBootConsoles = async (snapshot: string, artefacts: string, sink: HistorySink): Promise<void> => {
  for (const node of NODE_NAMES) {
    const log = await readFile(path.join(snapshot, fileOf(node)), "utf8");
    await writeFile(path.join(artefacts, fileOf(node)), `${log}--- restored from a snapshot ---\n`);
    for (const line of log.split("\n")) {
      const text = line.replace(/^ *\d+\.\d+ /, "");
      if (text !== "") sink.record({ kind: "console", node, line: text });
    }
  }
};
