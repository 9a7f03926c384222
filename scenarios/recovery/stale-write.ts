/**
 * The silent corruption of the iscsi_tcp initiator before c0920cd36f17 ("scsi: iscsi: iscsi_tcp: Set no linger") and
 * 788b71c54f21 ("scsi: iscsi: iscsi_tcp: Start socket shutdown during conn stop").
 *
 * A path goes silent and iscsid is dead, so the kernel stops the connection alone and gives its commands back to
 * dm-multipath, which repeats them on the other path. The application gets its acknowledgement and writes newer data to the
 * same sectors. But the old socket was only closed, not killed: it sits in FIN-WAIT-1 with the old commands in its send
 * queue, and when the path comes back TCP delivers them. The target knows no better than to execute them, over the newer data.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

export default scenario({
  title: "writes of a dead path land after newer data",
  about: ["c0920cd36f17", "788b71c54f21"],
  healthy:
    "The dead connection's socket is destroyed with everything in it, so nothing of generation 1 can arrive after generation 2.",
  reference: { base: "debian-5.10", head: "debian-6.1" },
  lab: { paths: 2, transport: "tcp", multipath: "failover" },
  timing: {
    noopInterval: 1,
    noopTimeout: 1,
    replacementTimeout: 0,
    // The target's own ping would find the dead connection first and have it reset.
    targetNopinTimeout: 0,
  },
  // Everything that a write needs travels with its command, so a target can complete it with nobody left to ask for data.
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

    // Two seconds have passed since the drop; the socket tries again 3.0 s after it, and then only at 6.5 s.
    await pause(random(0, 1000), "the path comes back at any point of the dead socket's retransmission timer");
    await path.a.heal();
    await path.a.quiet();
    // Before iscsid is back: it would drop both sessions to take them over.
    await ledger.readBack();
  },
});
