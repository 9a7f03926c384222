/**
 * A path goes silent under a mixed load and comes back. The kernel notices, dm-multipath goes on over the other path, iscsid logs
 * in again: what the initiator is made for. A kernel that survives nothing else survives this, and an oracle that finds something
 * here on a kernel without known defects is wrong.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

export default scenario({
  title: "a path goes silent under load and comes back",
  about: [],
  healthy: "I/O goes on over the other path, the session is logged in again, and everything reads back.",
  lab: { paths: 2, transport: ["tcp", "iser"], multipath: "failover" },
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 2, targetNopinTimeout: 0 },
  ledger: {
    slots: 512,
    slotBytes: 4096,
    depth: 16,
    connections: 2,
    mix: { blockBytes: [512, 4096, 4096, 16_384, 65_536], reads: 30, flushes: 2, fua: 5 },
  },
  async timeline({ path, ledger, session, recovered, pause, random }) {
    await ledger.fill();
    await ledger.steady();
    await ledger.inFlight(8);
    await path.a.drop();
    await session("a").failed();
    await ledger.supersede();
    await pause(random(0, 2000), "the path comes back before, at or after the session's replacement timeout");
    await path.a.heal();
    await recovered();
    await ledger.supersede();
    await ledger.quiesce();
  },
});
