/**
 * A logout that never returns: what 23d6fefbb3f6 ("scsi: iscsi: Fix in-kernel conn failure handling") and its follow-ups
 * are about, fourth part.
 *
 * On a connection error the kernel queues work that stops the connection. Before the fix, destroying a connection while
 * that work was pending was refused with -EAGAIN. iscsid in the middle of a logout takes this for the end: "can not
 * safely destroy connection". It never answers iscsiadm, and the session stays in the kernel for good.
 *
 * The order matters. The logout has to be under way when the connection fails: asked for one that it is reconnecting,
 * iscsid refuses with any kernel.
 */
import { scenario } from "../../rig/scenario/scenario.ts";

export default scenario({
  title: "a logout during a connection error never returns and the session stays",
  about: ["23d6fefbb3f6"],
  healthy:
    "Destroying the connection waits for the kernel's own stop work; the logout returns and the session is gone.",
  reference: { base: "linux-5.10+seed-defect-4+slow-stop", head: "linux-5.10+slow-stop" },
  lab: { paths: 2, transport: "tcp", multipath: "failover" },
  needs: { instruments: ["slow-stop"] },
  timing: { noopInterval: 1, noopTimeout: 1, replacementTimeout: 2, logoutTimeout: 5, targetNopinTimeout: 0 },
  ledger: { slots: 32, slotBytes: 4096 },
  async timeline({ path, ledger, session, instrument, pause, random }) {
    // Longer than iscsid waits for the answer to its Logout Request. Set first, so that the drop follows the acknowledgement
    // directly: setting takes time, in which the idle connection may come to its next NOP-Out.
    await instrument("slow-stop").set(9000);
    const first = await ledger.rewrite();
    await first.acknowledged();

    await path.a.drop();
    const held = await ledger.rewrite();
    await pause(
      random(200, 600),
      "the logout goes into the dead path, a second before anybody notices that it is dead",
    );
    await session("a").logout();
    await held.acknowledged();
    await path.a.heal();
    await ledger.readBack();
  },
});
