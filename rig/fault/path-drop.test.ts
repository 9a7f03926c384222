import { describe, expect, test } from "vitest";
import { RigError } from "../core/errors.ts";
import type { Container } from "../lab/container.ts";
import { PathDrop, parseCounters } from "./path-drop.ts";

interface Rule {
  readonly port: string;
  readonly comment: string;
  packets: number;
}

/** A container whose iptables has one chain, with counters, and may refuse. */
class FakeFirewall {
  readonly rules: Rule[] = [{ port: "up-a", comment: "somebody else's", packets: 5 }];
  refuses: (call: string) => boolean = () => false;

  get container(): Container {
    const exec = (argv: readonly string[]) => Promise.resolve(this.#run(argv));
    const execOk = async (argv: readonly string[]) => {
      const result = await exec(argv);
      if (result.exitCode !== 0) throw new RigError("RIG_FAULT", `${argv.join(" ")} failed`);
      return result;
    };
    return { exec, execOk } as unknown as Container;
  }

  /** Packets arrive at a port and fall to the first rule that drops them. */
  packets(port: string, count: number): boolean {
    const rule = this.rules.find(candidate => candidate.port === port && candidate.comment.startsWith("rig "));
    if (rule === undefined) return false;
    rule.packets += count;
    return true;
  }

  get ours(): readonly Rule[] {
    return this.rules.filter(({ comment }) => comment.startsWith("rig "));
  }

  #run(argv: readonly string[]): { exitCode: number; stdout: string; stderr: string } {
    const result = (exitCode: number, stdout = "") => ({ exitCode, stdout, stderr: "" });
    if (argv[0] === "sh") {
      expect(argv[1]).toBe("-ec");
      let printed = "";
      for (const line of (argv[2] ?? "").split("\n")) {
        const command = line.replace(/ 2> \/dev\/null \|\| true$/, "");
        const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2] ?? "");
        const { exitCode, stdout } = this.#run(words);
        printed += stdout;
        if (exitCode !== 0 && command === line) return result(exitCode, printed);
      }
      return result(0, printed);
    }
    if (argv[0] === "echo") return result(0, `${argv.slice(1).join(" ")}\n`);
    expect(argv.slice(0, 3)).toEqual(["iptables", "-w", "5"]);
    if (this.refuses(argv.join(" "))) return result(4);
    const after = (option: string) => argv[argv.indexOf(option) + 1] ?? "";
    if (argv[3] === "-nvxL") {
      const rows = this.rules.map(
        ({ port, comment, packets }) =>
          `${String(packets).padStart(8)} ${String(packets * 100).padStart(8)} DROP       0    --  *      *       0.0.0.0/0            0.0.0.0/0            PHYSDEV match --physdev-in ${port} --physdev-is-bridged /* ${comment} */`,
      );
      return result(
        0,
        [
          "Chain FORWARD (policy ACCEPT 9 packets, 900 bytes)",
          "    pkts      bytes target     prot opt in",
          ...rows,
          "",
        ].join("\n"),
      );
    }
    expect(argv.slice(-2)).toEqual(["-j", "DROP"]);
    const [port, comment] = [after("--physdev-in"), after("--comment")];
    if (argv[3] === "-I") {
      this.rules.unshift({ port, comment, packets: 0 });
      return result(0);
    }
    expect(argv[3]).toBe("-D");
    const index = this.rules.findIndex(rule => rule.port === port && rule.comment === comment);
    if (index < 0) return result(1);
    this.rules.splice(index, 1);
    return result(0);
  }
}

const others = (firewall: FakeFirewall) => firewall.rules.filter(({ comment }) => !comment.startsWith("rig "));

describe("a dropped path", () => {
  test("loses packets both ways, and proves it", async () => {
    const firewall = new FakeFirewall();
    const drop = new PathDrop(firewall.container, "a", 1);
    expect([drop.name, drop.on]).toEqual(["path-drop:a#1", "path a"]);
    await drop.inject();
    expect(firewall.ours.map(({ port }) => port).toSorted()).toEqual(["tap-a", "up-a"]);
    expect(firewall.packets("up-a", 3) && firewall.packets("tap-a", 4)).toBe(true);
    expect(firewall.packets("tap-b", 1)).toBe(false);
    await drop.heal();
    expect(firewall.packets("up-a", 1)).toBe(false);
    expect(await drop.evidence()).toEqual({
      bit: true,
      gone: true,
      text: "7 packets (700 bytes) were dropped on path a; the rules are gone",
      counters: { packets: 7, bytes: 700, rules: 0 },
    });
    expect(others(firewall)).toHaveLength(1);
  });

  test("that met no packet has not bitten", async () => {
    const firewall = new FakeFirewall();
    const drop = new PathDrop(firewall.container, "b", 1);
    await drop.inject();
    await drop.heal();
    expect(await drop.evidence()).toMatchObject({ bit: false, gone: true, counters: { packets: 0 } });
  });

  test("heals twice without harm, and keeps its evidence", async () => {
    const firewall = new FakeFirewall();
    const drop = new PathDrop(firewall.container, "a", 1);
    await drop.inject();
    firewall.packets("up-a", 2);
    await drop.heal();
    await drop.heal();
    expect(await drop.evidence()).toMatchObject({ bit: true, gone: true });
    expect(others(firewall)).toHaveLength(1);
  });

  test("that was half injected is an error, and heals", async () => {
    const firewall = new FakeFirewall();
    firewall.refuses = call => call.includes("-I") && call.includes("tap-a");
    const drop = new PathDrop(firewall.container, "a", 1);
    await expect(drop.inject()).rejects.toMatchObject({ code: "RIG_FAULT" });
    expect(firewall.ours).toHaveLength(1);
    await drop.heal();
    expect(firewall.ours).toEqual([]);
    expect(await drop.evidence()).toMatchObject({ gone: true });
  });

  test("whose rules are not there afterwards is an error", async () => {
    const silent = { execOk: () => Promise.resolve({ stdout: "" }) } as unknown as Container;
    await expect(new PathDrop(silent, "a", 1).inject()).rejects.toThrow(
      "Expected 2 rules of path-drop:a#1 after injecting it; there are 0.",
    );
  });

  test("whose rules cannot be removed does not claim to be gone", async () => {
    const firewall = new FakeFirewall();
    const drop = new PathDrop(firewall.container, "a", 1);
    await drop.inject();
    firewall.packets("up-a", 2);
    firewall.refuses = call => call.includes("-D") && call.includes("up-a");
    await expect(drop.heal()).rejects.toMatchObject({ code: "RIG_FAULT" });
    expect(await drop.evidence()).toMatchObject({ bit: true, gone: false, counters: { rules: 1, packets: 2 } });
  });

  test("of one path, the second of that path and the other path's know their own rules", async () => {
    const firewall = new FakeFirewall();
    const drops = [1, 12].map(number => new PathDrop(firewall.container, "a", number));
    const other = new PathDrop(firewall.container, "b", 1);
    for (const drop of [...drops, other]) await drop.inject();
    await drops[0]?.heal();
    expect(firewall.ours.map(({ comment }) => comment).toSorted()).toEqual([
      "rig path-drop:a#12",
      "rig path-drop:a#12",
      "rig path-drop:b#1",
      "rig path-drop:b#1",
    ]);
  });
});

test("counters of other rules, and what is no listing, count for nothing", () => {
  const row =
    "       7      700 DROP  0 -- * *  0.0.0.0/0 0.0.0.0/0 PHYSDEV match --physdev-in up-a /* rig path-drop:a#1 */";
  expect(parseCounters(`${row}\n${row.replace("a#1", "a#2")}\n`, "path-drop:a#1")).toEqual({
    rules: 1,
    packets: 7,
    bytes: 700,
  });
  expect(parseCounters("", "path-drop:a#1")).toEqual({ rules: 0, packets: 0, bytes: 0 });
  expect(parseCounters("/* rig path-drop:a#1 */", "path-drop:a#1")).toEqual({ rules: 1, packets: 0, bytes: 0 });
});
