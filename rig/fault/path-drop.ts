/**
 * A path that silently loses every packet, both ways: two iptables rules in the network namespace of the target's
 * container, on what its bridge forwards. The guests' carriers stay up, ARP still works, and nobody is told: like a switch
 * that forgot its table, and unlike an unplugged cable. The rules' own packet counters are the evidence.
 */

import { shellCommand } from "../core/argv.ts";
import { RigError } from "../core/errors.ts";
import type { PathName } from "../core/names.ts";
import type { Container } from "../lab/container.ts";
import type { Evidence, Fault } from "./fault.ts";

/** Rules that carry this comment are the fault's; no other rule is ever touched. */
const comment = (name: string): string => `rig ${name}`;

const matches = (name: string, port: string): readonly string[] => [
  "-m",
  "physdev",
  "--physdev-is-bridged",
  "--physdev-in",
  port,
  "-m",
  "comment",
  "--comment",
  comment(name),
  "-j",
  "DROP",
]; // prettier-ignore

/** Packet and byte counts of the rules with this fault's comment in `iptables -nvxL FORWARD`. */
export const parseCounters = (listing: string, name: string): { rules: number; packets: number; bytes: number } => {
  const rows = listing.split("\n").filter(line => line.includes(`/* ${comment(name)} */`));
  const sum = (column: number) =>
    rows.reduce((total, row) => total + (Number(row.trim().split(/\s+/)[column]) || 0), 0);
  return { rules: rows.length, packets: sum(0), bytes: sum(1) };
};

/** Prints the rules with their counters. */
const BORDER = "--- after ---";
const LIST = "iptables -w 5 -nvxL FORWARD";

export class PathDrop implements Fault {
  readonly name: string;
  readonly on: string;
  readonly #container: Container;
  readonly #ports: readonly string[];
  #last = { rules: 0, packets: 0, bytes: 0 };

  constructor(container: Container, path: PathName, number: number) {
    this.name = `path-drop:${path}#${number}`;
    this.on = `path ${path}`;
    this.#container = container;
    this.#ports = [`up-${path}`, `tap-${path}`];
  }

  async inject(): Promise<string> {
    // One command for both directions: a path that is dead one way only is another fault.
    const listing = await this.#container.execOk(["sh", "-ec", [...this.#rules("-I"), LIST].join("\n")]);
    const { rules } = parseCounters(listing.stdout, this.name);
    if (rules !== this.#ports.length)
      throw new RigError(
        "RIG_FAULT",
        `Expected ${this.#ports.length} rules of ${this.name} after injecting it; there are ${rules}.`,
      );
    return `every packet of ${this.on} is dropped, both ways`;
  }

  async heal(): Promise<string> {
    // -D fails where the rule is gone already, which is what is wanted; the listing after it tells.
    const removals = this.#rules("-D").map(rule => `${rule} 2> /dev/null || true`);
    const script = [LIST, ...removals, `echo ${BORDER}`, LIST].join("\n");
    const { stdout } = await this.#container.execOk(["sh", "-ec", script]);
    const [before = "", after = ""] = stdout.split(BORDER);
    const seen = parseCounters(before, this.name);
    if (seen.rules > 0) this.#last = seen;
    const { rules } = parseCounters(after, this.name);
    if (rules > 0)
      throw new RigError("RIG_FAULT", `Expected no rule of ${this.name} after healing it; there are still ${rules}.`);
    return `${this.on} carries packets again`;
  }

  async evidence(): Promise<Evidence> {
    const now = await this.#read();
    const { packets, bytes } = now.rules > 0 ? now : this.#last;
    return {
      bit: packets > 0,
      gone: now.rules === 0,
      text: `${packets} packets (${bytes} bytes) were dropped on ${this.on}; ${now.rules === 0 ? "the rules are gone" : `${now.rules} rules are still there`}`,
      counters: { packets, bytes, rules: now.rules },
    };
  }

  /** One command a direction, for the shell of the container; every part is quoted. */
  #rules(action: "-I" | "-D"): readonly string[] {
    return this.#ports.map(port =>
      shellCommand(["iptables", "-w", "5", action, "FORWARD", ...matches(this.name, port)]),
    );
  }

  async #read(): Promise<{ rules: number; packets: number; bytes: number }> {
    const listing = await this.#container.execOk(["sh", "-ec", LIST]);
    return parseCounters(listing.stdout, this.name);
  }
}
