/**
 * The case that 23d6fefbb3f6 ("scsi: iscsi: Fix in-kernel conn failure handling") was written for: its first defect, on a
 * transport that only ep_disconnect tears down, as with the offload drivers.
 *
 * A path goes silent and iscsid is dead, so the kernel stops the connection alone and gives its commands back to dm-multipath,
 * which repeats them on the other path; newer data follows. But nobody disconnected the endpoint: the queue pair below it
 * goes on sending the old commands again and again. When the path comes back they arrive, and the target executes them over
 * the newer data, or over it what their memory holds by then. And the answers come for tasks that the initiator no longer has.
 *
 * No hardware is at hand here; the variant offload-model makes ib_iser over rdma_rxe behave as the offload drivers do.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

export default scenario({
  title: "writes of an endpoint that nobody disconnected land after newer data",
  about: ["23d6fefbb3f6"],
  healthy:
    "The kernel disconnects the endpoint before it gives the commands back, so nothing of generation 1 can arrive after generation 2.",
  reference: { base: "linux-5.10+without-seed+offload-model", head: "linux-5.10+offload-model" },
  lab: { paths: 2, transport: "iser", multipath: "failover" },
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 0, targetNopinTimeout: 0 },
  session: {
    immediateData: true,
    initialR2T: false,
    firstBurstLength: 262_144,
    targetMaxRecvDataSegmentLength: 262_144,
  },
  ledger: { slots: 32, slotBytes: 4096 },
  async timeline({ path, iscsid, ledger, session, pause, random }) {
    const first = await ledger.rewrite();
    await first.acknowledged();

    await iscsid.kill();
    await path.a.drop();
    const doomed = await ledger.rewrite();
    await session("a").failed();
    await doomed.acknowledged();
    const newer = await ledger.rewrite();
    await newer.acknowledged();
    // The newer data is on the disk now: whatever is there later came later.
    await ledger.observe();

    await pause(random(0, 1000), "the path comes back at any point of the queue pair's retransmission timer");
    await path.a.heal();
    await path.a.quiet();
    // Before iscsid is back: it would drop both sessions to take them over.
    await ledger.readBack();
  },
});
