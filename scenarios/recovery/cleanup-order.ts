/**
 * The second defect of what 23d6fefbb3f6 ("scsi: iscsi: Fix in-kernel conn failure handling") fixed: drivers that have
 * ep_disconnect expect it before conn_stop. Called after it, the driver has cleaned its tasks up and given their commands
 * back while the transport still works on them; what completes then refers to what is no longer there, and what is sent again is read
 * from memory that has another owner. KASAN sees the reads; without it there is what the first defect shows, by luck.
 *
 * Between the two calls lie microseconds as a rule. The instrument slow-disconnect makes them seconds, on a kernel with the
 * right order too, where it delays nothing but the return of the commands.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

/**
 * Longer than all that lies between the clean-up and the last retransmission: two generations that are acknowledged over path
 * b, a look at the disk, the pause, and up to 4.3 s until the queue pair sends again. 10 s left a slow machine little; where
 * the delay is over too early the race is missed, and nobody is told. A kernel with the right order gives its commands back
 * this much later.
 */
const DISCONNECT_MS = 15_000;

export default scenario({
  title: "tasks are cleaned up before their endpoint is disconnected, and used after it",
  about: ["23d6fefbb3f6"],
  healthy:
    "The endpoint is disconnected first, so nothing completes, and nothing is read from a command's memory, once the command is given back.",
  reference: {
    base: "linux-5.10+seed-defect-2+offload-model+slow-disconnect+kasan",
    head: "linux-5.10+offload-model+slow-disconnect+kasan",
    onRequest: true,
  },
  lab: { paths: 2, transport: "iser", multipath: "failover" },
  needs: { instruments: ["slow-disconnect"] },
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 0, targetNopinTimeout: 0 },
  session: {
    immediateData: true,
    initialR2T: false,
    firstBurstLength: 262_144,
    targetMaxRecvDataSegmentLength: 262_144,
  },
  ledger: { slots: 32, slotBytes: 4096 },
  async timeline({ path, iscsid, ledger, session, instrument, pause, random }) {
    const first = await ledger.rewrite();
    await first.acknowledged();

    await instrument("slow-disconnect").set(DISCONNECT_MS);
    await iscsid.kill();
    await path.a.drop();
    const doomed = await ledger.rewrite();
    await session("a").failed();
    await doomed.acknowledged();
    const newer = await ledger.rewrite();
    await newer.acknowledged();
    await ledger.observe();

    await pause(random(0, 1000), "the path comes back at any point of the queue pair's retransmission timer");
    await path.a.heal();
    await path.a.quiet();
    await ledger.readBack();
  },
});
