/**
 * Nothing is broken. A mixed load runs over both paths' map, with reads, flushes and FUA, in sizes from one block to 256 KiB that
 * overlap; whatever an oracle finds here, it finds for nothing, or the kernel fails at rest.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

export default scenario({
  title: "a mixed load while nothing is broken",
  about: [],
  healthy: "Every operation is acknowledged, and everything reads back.",
  lab: { paths: 2, transport: ["tcp", "iser"], multipath: "failover" },
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 2, targetNopinTimeout: 0 },
  ledger: {
    slots: 512,
    slotBytes: 4096,
    depth: 16,
    connections: 2,
    mix: {
      blockBytes: [512, 1024, 4096, 4096, 4096, 16_384, 65_536, 262_144],
      near: 20,
      reads: 30,
      flushes: 2,
      zeroes: 2,
      fua: 5,
    },
  },
  async timeline({ ledger, random }) {
    await ledger.fill();
    await ledger.steady();
    await ledger.inFlight(8);
    const extra = await ledger.burst(random(8, 64));
    await extra.acknowledged();
    await ledger.supersede();
    const newest = await ledger.rewrite();
    await newest.acknowledged();
    await ledger.quiesce();
  },
});
