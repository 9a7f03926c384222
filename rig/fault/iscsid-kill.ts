/**
 * iscsid killed with SIGKILL, both of its processes: the kernel is left alone with its sessions, as in a crash, an
 * out-of-memory kill, or a package upgrade. Healing starts it again; how much later is the scenario's choice.
 */
import { sleep } from "../core/clock.ts";
import type { Watch } from "../iscsi/watch.ts";
import type { Node } from "../lab/node.ts";
import type { Evidence, Fault } from "./fault.ts";

const DAEMON = "iscsid";
const SIGKILL = 9;

export class IscsidKill implements Fault {
  readonly name: string;
  readonly on = "iscsid";
  readonly #node: Node;
  readonly #watch: Watch;
  readonly #signal: AbortSignal;
  #killed = 0;
  #running = true;

  constructor(node: Node, watch: Watch, number: number, signal: AbortSignal) {
    this.name = `iscsid-kill#${number}`;
    this.#node = node;
    this.#watch = watch;
    this.#signal = signal;
  }

  async inject(): Promise<string> {
    this.#running = false;
    this.#killed = await this.#node.agent.kill(SIGKILL, DAEMON);
    await this.#watch.until(state => state.iscsid === 0, "iscsid to be gone", 10_000, this.#signal);
    return `${this.#killed} processes killed`;
  }

  async heal(): Promise<string> {
    if (this.#running) return "iscsid is running";
    if (this.#watch.state.iscsid === 0) {
      this.#watch.iscsidStarts();
      await this.#node.agent.spawn([`/usr/sbin/${DAEMON}`]);
    }
    // As many as there were: the first process that is seen ends at once, when it has put itself into the background.
    const processes = Math.max(1, this.#killed);
    await this.#watch.until(state => state.iscsid >= processes, "iscsid to run again", 10_000);
    this.#running = true;
    return "iscsid was started";
  }

  /** Waits, then heals. The wait is the fault itself: the time in which nobody looks after the sessions. */
  async delay(ms: number): Promise<void> {
    await sleep(ms, this.#signal);
  }

  evidence(): Promise<Evidence> {
    const running = this.#watch.state.iscsid;
    return Promise.resolve({
      bit: this.#killed > 0,
      gone: running > 0,
      text: `${this.#killed} iscsid processes were killed; ${running} run now`,
      counters: { killed: this.#killed, running },
    });
  }
}
