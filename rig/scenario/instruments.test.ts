import { describe, expect, test } from "vitest";
import type { Unstamped } from "../history/event.ts";
import type { Node } from "../lab/node.ts";
import { Instruments, requireInstruments } from "./instruments.ts";

const DIR = "/sys/module/scsi_transport_iscsi/parameters";

/** A node whose scripts say what `answer` makes of their arguments. */
const nodeThat = (answer: (args: readonly string[]) => string) => {
  const asked: (readonly string[])[] = [];
  const execOk = (argv: readonly string[]) => {
    // sh -eu -s -- ARGS...
    const args = argv.slice(4);
    asked.push(args);
    return Promise.resolve({ stdout: answer(args) });
  };
  return { asked, node: { ssh: { execOk } } as unknown as Node };
};

describe("a kernel's instruments", () => {
  test("are looked for by their parameter's file", async () => {
    const { node, asked } = nodeThat(() => "");
    await requireInstruments(node, ["slow-stop", "slow-disconnect"]);
    expect(asked).toEqual([[`${DIR}/slow_stop_ms`, `${DIR}/slow_disconnect_ms`]]);
  });

  test("that are missing make the cell a miss that names the suffix", async () => {
    const { node } = nodeThat(() => `${DIR}/slow_stop_ms\n`);
    await expect(requireInstruments(node, ["slow-disconnect", "slow-stop"])).rejects.toMatchObject({
      code: "RIG_NO_INSTRUMENT",
      blame: "environment",
      message: `The scenario needs slow-stop in the initiator's kernel, which has no ${DIR}/slow_stop_ms. Run it on a kernel that the rig builds, with the suffix +slow-stop, such as linux-5.10+slow-stop.`,
    });
  });

  test("cost nothing where none is needed", async () => {
    const { node, asked } = nodeThat(() => "");
    await requireInstruments(node, []);
    expect(asked).toEqual([]);
  });
});

describe("setting an instrument", () => {
  const setUp = (answer: (args: readonly string[]) => string) => {
    const events: Unstamped[] = [];
    const { node, asked } = nodeThat(answer);
    const sink = { record: (event: Unstamped) => void events.push(event) };
    return { instruments: new Instruments(node, sink, new AbortController().signal), events, asked };
  };
  const obedient = () => setUp(([value = ""]) => `${value}\n`);

  test("writes its parameter, and is in the history", async () => {
    const { instruments, events, asked } = obedient();
    await instruments.set("slow-stop", 6500);
    expect(asked).toEqual([["6500", `${DIR}/slow_stop_ms`]]);
    expect(events).toEqual([{ kind: "instrument", name: "slow-stop", ms: 6500 }]);
  });

  test("holds up what waits, together, until long after it is taken back: earlier work may still wait", async () => {
    const { instruments } = obedient();
    expect(instruments.heldUpMs).toBe(0);
    await instruments.set("slow-stop", 6000);
    await instruments.set("slow-disconnect", 1000);
    await instruments.set("slow-stop", 0);
    expect(instruments.heldUpMs).toBe(7000);
  });

  test("that the kernel does not take is an error and no event", async () => {
    const { instruments, events } = setUp(() => "0\n");
    await expect(instruments.set("slow-stop", 5)).rejects.toMatchObject({ code: "RIG_FAULT" });
    expect(events).toEqual([]);
    expect(instruments.heldUpMs).toBe(0);
  });
});
