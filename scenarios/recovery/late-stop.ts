/**
 * A recovered connection that the kernel stops again: what 23d6fefbb3f6 ("scsi: iscsi: Fix in-kernel conn failure
 * handling") and its follow-ups are about, third part.
 *
 * On a connection error the kernel queues work that stops the connection. Before the fix nothing made user space's own
 * recovery wait for that work: while it is still queued, iscsid stops the connection itself, logs in again and says that
 * the session is operational. Then the work runs, on the connection that has been bound and started anew. Nobody tells
 * iscsid, for the kernel knows of no error. So nobody logs in again; when the replacement timeout is over the
 * device goes offline, on a path that is as healthy as can be.
 *
 * How late the work is depends on the workqueue's other work; the instrument makes it late enough at all times.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

/** Longer than iscsid takes to log in again: 2 s from the error, on a slow machine after a lost SYN up to 6 s. */
const LATE_MS = { least: 9000, most: 10_000 };
/** In which the kernel and iscsid disagree, for longer than the late work and slow logs can explain. */
const REPLACEMENT_S = 20;

export default scenario({
  title: "a recovered session is stopped again by work left from the error before",
  about: ["23d6fefbb3f6"],
  healthy:
    "The session fails once and comes back once; while its path is in order it stays logged in, however late the kernel's own stop work is.",
  reference: { base: "linux-5.10+seed-defect-3+slow-stop", head: "linux-5.10+slow-stop" },
  lab: { paths: 2, transport: "tcp", multipath: "failover" },
  needs: { instruments: ["slow-stop"] },
  // Commands wait for their session to come back, so nothing but the kernel's own doing takes path a away.
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: REPLACEMENT_S, targetNopinTimeout: 0 },
  ledger: { slots: 32, slotBytes: 4096 },
  async timeline({ path, ledger, session, instrument, random }) {
    const first = await ledger.rewrite();
    await first.acknowledged();

    await instrument("slow-stop").set(random(LATE_MS.least, LATE_MS.most));
    await path.a.drop();
    const held = await ledger.rewrite();
    await session("a").connectionError();
    await path.a.heal();
    await held.acknowledged();

    const enoughMs = LATE_MS.most + REPLACEMENT_S * 1000 + 2000;
    await session("a").observe(enoughMs, "the late work strikes, and the replacement timeout ends, in this time");
    const newer = await ledger.rewrite();
    await newer.acknowledged();
    await path.a.quiet();
    await ledger.readBack();
  },
});
