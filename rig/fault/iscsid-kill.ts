/**
 * iscsid killed with SIGKILL, both of its processes: the kernel is left alone with its sessions, as in a crash, an
 * out-of-memory kill, or a package upgrade. Healing starts it again; how much later is the scenario's choice.
 */
import { sleep } from "../core/clock.ts";
import type { Watch } from "../iscsi/watch.ts";
import { type Node, script } from "../lab/node.ts";
import type { Evidence, Fault } from "./fault.ts";

/** Kills every process of that name and prints how many; with the shell's own commands alone, so that it is over in one go. */
const KILL = `
killed=0
for comm in /proc/[0-9]*/comm; do
  read -r name < $comm 2> /dev/null || continue
  [ "$name" = iscsid ] || continue
  pid=\${comm#/proc/}
  kill -KILL \${pid%/comm} && killed=$((killed + 1))
done
echo $killed
`;

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
    const result = await script(this.#node, KILL, [], { signal: this.#signal });
    this.#killed = Number(result.stdout.trim()) || 0;
    await this.#watch.until(state => state.iscsid === 0, "iscsid to be gone", 10_000, this.#signal);
    return `${this.#killed} processes killed`;
  }

  async heal(): Promise<string> {
    if (this.#running) return "iscsid is running";
    if (this.#watch.state.iscsid === 0) {
      this.#watch.iscsidStarts();
      await this.#node.ssh.execOk(["iscsid"]);
    }
    await this.#watch.until(state => state.iscsid > 0, "iscsid to run again", 10_000);
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
