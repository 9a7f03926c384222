/** A ledger on a disk in this process, its history, and the integrity oracle's word on it. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { onTestFinished } from "vitest";
import { monotonicNs } from "../../core/clock.ts";
import { READ_BACK_PHASE } from "../../core/names.ts";
import { historyOf } from "../../history/collect.ts";
import {
  type Header,
  HISTORY_VERSION,
  type History,
  type HistoryEvent,
  type HistorySink,
} from "../../history/event.ts";
import { integrityOracle } from "../../oracle/integrity.ts";
import type { Judgement } from "../../oracle/oracle.ts";
import { temporaryDirectory } from "../../testing/bench-dir.ts";
import { Ledger, type LedgerShape } from "../ledger.ts";
import { NbdDevice } from "../nbd-device.ts";
import { type Behaviour, FakeNbd, honest } from "./nbd-server.ts";

const HEADER: Header = {
  kind: "header",
  version: HISTORY_VERSION,
  run: "run-1",
  scenario: "writes/lies",
  kernel: "none",
  seed: 1,
  startedAt: "2026-01-01T00:00:00.000Z",
  monotonicStartNs: "0",
};

/** A sink that keeps events as the history's file would hold them. */
export const memorySink = (): HistorySink & { readonly events: HistoryEvent[] } => {
  const started = monotonicNs();
  const events: HistoryEvent[] = [];
  return {
    events,
    record: (event, at = monotonicNs()) => void events.push({ t: Number(at - started), ...event }),
  };
};

export interface LedgerBench {
  readonly server: FakeNbd;
  readonly ledger: Ledger;
  readonly events: readonly HistoryEvent[];
  readonly history: () => History;
  /** Reads the final state from both ends and judges all that was seen. */
  readonly verdict: () => Promise<Judgement>;
  readonly abort: AbortController;
  readonly backing: string;
}

export interface BenchOptions {
  readonly connections?: number;
  /** Devices that lead to the one disk. */
  readonly devices?: number;
  readonly seed?: number;
  readonly flags?: number;
  readonly sizeBytes?: number;
  /** Whether each device is a disk of its own; by default they all lead to one. */
  readonly luns?: boolean;
  readonly syncBacking?: () => Promise<void>;
}

export const SHAPE: LedgerShape = { slots: 8, slotBytes: 4096 };

export const startLedger = async (
  behaviour: Behaviour = honest,
  shape = SHAPE,
  {
    connections = 1,
    devices: count = 1,
    seed = 1,
    flags,
    sizeBytes = 65_536,
    luns = false,
    syncBacking,
  }: BenchOptions = {},
): Promise<LedgerBench> => {
  const server = await FakeNbd.start({ behaviour, sizeBytes, ...(flags === undefined ? {} : { flags }) });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const backing = path.join(await temporaryDirectory(), "backing.img");
  const sink = memorySink();
  const abort = new AbortController();
  const address = { host: "127.0.0.1", port: server.port, exportName: "rig" };
  const devices = await Promise.all(
    Array.from({ length: count }, async (_, id) => {
      const nbd = await NbdDevice.connect(address, connections, 5000);
      onTestFinished(() => nbd[Symbol.asyncDispose]());
      const lun = luns ? id : 0;
      const image = lun === 0 ? backing : `${backing}.${lun}`;
      return { id, name: `disk${id}`, lun, nbd, backing: image, ...(syncBacking === undefined ? {} : { syncBacking }) };
    }),
  );
  if (count > 1)
    for (const { id, name, lun } of devices)
      sink.record({ kind: "device", id, name, lun, sectors: sizeBytes / 512, cache: "none" });
  const ledger = new Ledger({ shape, devices, sink, identity: "run-1/lies", seed, signal: abort.signal });
  const history = () => historyOf(HEADER, sink.events);
  return {
    server,
    ledger,
    events: sink.events,
    abort,
    backing,
    history,
    verdict: async () => {
      sink.record({ kind: "phase", name: READ_BACK_PHASE, edge: "begin" });
      await ledger.readInitiator(5000);
      await writeFile(backing, server.disk);
      await ledger.readBacking();
      sink.record({ kind: "phase", name: READ_BACK_PHASE, edge: "end" });
      return integrityOracle.judge(history());
    },
  };
};

export const classesOf = ({ findings }: Judgement): readonly string[] => findings.map(({ class: name }) => name);
