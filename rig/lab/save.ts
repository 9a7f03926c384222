/** Saving a lab: both guests stand still at one moment, and what QEMU knows of each goes into a file beside its memory. */
import { copyFile, open } from "node:fs/promises";
import path from "node:path";
import type { Lab } from "./lab.ts";
import { allowShared, migration, SNAPSHOT_FILES, type Snapshot } from "./snapshot.ts";

/** Whether a file holds nothing but zeros. */
const isZero = async (file: string): Promise<boolean> => {
  await using handle = await open(file, "r");
  const buffer = Buffer.alloc(1 << 20);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return true;
    if (buffer.subarray(0, bytesRead).some(byte => byte !== 0)) return false;
  }
};

/**
 * Saves a lab whose memory is in files of `directory` already. Nothing may be connected to its guests but their agents; the lab
 * stands still afterwards and is of no further use.
 * @throws RigError RIG_LAB_SNAPSHOT where a device cannot be saved.
 */
export const saveLab = async (lab: Lab, directory: string): Promise<Omit<Snapshot, "key" | "directory">> => {
  const nodes = Object.values(lab.nodes);
  for (const node of nodes) {
    await node.agent.unwatch();
    await node.ssh.stop();
    await node.agent.call("sync", []);
    await allowShared(node.qmp);
  }
  // As near to one moment as can be: what is on a wire between the two is lost, as on any wire, and TCP sends it again.
  await Promise.all(nodes.map(({ qmp }) => qmp.execute("stop")));
  const there = lab.bay.snapshot(path.basename(directory));
  for (const { name, qmp } of nodes)
    await migration(name, qmp, "migrate", `exec:cat > ${there}/${SNAPSHOT_FILES.devices(name)}`);
  const written: number[] = [];
  for (const [lun, backing] of lab.backings.entries()) {
    if (await isZero(backing)) continue;
    await copyFile(backing, path.join(directory, SNAPSHOT_FILES.backing(lun)));
    written.push(lun);
  }
  const versions = { target: lab.nodes.target.version, initiator: lab.nodes.initiator.version };
  return { written, versions };
};
