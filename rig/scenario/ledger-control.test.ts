import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { Ledger } from "../workload/ledger.ts";
import { startLedger } from "../workload/testdata/ledger-bench.ts";
import { honest } from "../workload/testdata/nbd-server.ts";
import { ledgerControl } from "./ledger-control.ts";

const start = async (behaviour = honest) => {
  const shape = { slots: 16, slotBytes: 4096, depth: 8 };
  const { ledger, abort, server, backing } = await startLedger(behaviour, shape);
  const steps: string[] = [];
  const kinds: string[] = [];
  const sink = { record: (event: { kind: string }) => void kinds.push(event.kind) };
  const control = ledgerControl({ ledger, sink, scale: 1, signal: abort.signal, answerWithinMs: 100 }, (text, work) => {
    steps.push(text);
    return work();
  });
  return { control, ledger, steps, kinds, server, backing };
};

test("every phase is a step, in words", async () => {
  const { control, ledger, steps, kinds, server, backing } = await start();
  await control.fill();
  await control.steady();
  await control.inFlight(8);
  const burst = await control.burst(20);
  await control.supersede();
  await burst.acknowledged();
  await control.quiesce();
  expect(ledger.inFlight).toBe(0);
  await writeFile(backing, server.disk);
  await control.readBack();
  await control.observe();
  expect(steps).toEqual([
    "write every sector once",
    "begin a steady load",
    "8 operations are under way",
    "submit 20 operations at once",
    "write newer data over what is not acknowledged",
    "burst 0 is acknowledged",
    "end the steady load",
    "read everything back",
    "read the target's disk image",
  ]);
  expect(kinds).toEqual(["phase", "phase"]);
  expect(ledger.isReadBack).toBe(true);
});

test("a load that never comes is waited for only so long", async () => {
  const { control } = await start();
  await expect(control.inFlight(1)).rejects.toMatchObject({ code: "RIG_DEADLINE" });
});

test("a steady load without answers cannot be ended in time", async () => {
  const { control } = await start(() => undefined);
  await control.steady();
  await control.inFlight(8);
  await expect(control.quiesce()).rejects.toMatchObject({ code: "RIG_DEADLINE", context: { unanswered: true } });
});

test("the timeline is as patient as the configuration, and what instruments hold up beyond it", async () => {
  const patience: (number | undefined)[] = [];
  const ledger = { quiesce: (ms: number) => Promise.resolve(void patience.push(ms)) } as unknown as Ledger;
  const instruments = { heldUpMs: 0 };
  const { signal } = new AbortController();
  const sink = { record: () => undefined };
  const bench = { ledger, sink, scale: 1, signal, answerWithinMs: 100, instruments };
  const control = ledgerControl(bench, (_text, work) => work());
  await control.quiesce();
  instruments.heldUpMs = 7000;
  await control.quiesce();
  expect(patience).toEqual([2100, 9100]);
});
