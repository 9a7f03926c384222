/**
 * Where a cell's lab comes from: a snapshot of a lab that was booted and configured for the same kernel and parameters, made
 * when it is first asked for and kept in the cache; or a boot of its own, where a snapshot cannot be had, and then it says why.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { cached, contentFlaw, discardEntry, peekCache, touchEntry, trimCache } from "../core/cache.ts";
import { messageOf, RigError } from "../core/errors.ts";
import { Gate, type Lease } from "../core/gate.ts";
import type { Log } from "../core/log.ts";
import { NODE_NAMES } from "../core/names.ts";
import type { HistorySink } from "../history/event.ts";
import { bootLab, type Lab, restoreLab } from "../lab/lab.ts";
import type { LabRequest } from "../lab/request.ts";
import { saveLab } from "../lab/save.ts";
import { SNAPSHOT_FILES, SNAPSHOT_KIND, type Snapshot, snapshotKey } from "../lab/snapshot.ts";
import { type Configured, configuredSchema, configureLab, setUpParts } from "../scenario/bench.ts";
import { shapeOf } from "../scenario/devices.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { requireNoLoss, tellBootConsoles } from "./boot-console.ts";

export interface ReadyLab {
  readonly lab: Lab;
  readonly configured: Configured;
  readonly how: "cold" | "restored";
  /** Why it was not restored. */
  readonly why?: string;
  /** The machine's CPUs are shared with others as long as the lab is there. */
  readonly lease: Lease;
  /** To be called when the lab's device is open and its timeline begins: the next lab may start. */
  readonly started: () => void;
}

export type RunPhase = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export interface ReadyLabRequest extends LabRequest {
  readonly scenario: Scenario;
  readonly signal: AbortSignal;
  /** Times a part of the way. */
  readonly phase: RunPhase;
}

/** What `about.json` in a snapshot says. */
const aboutSchema = z.strictObject({
  version: z.literal(2),
  configured: configuredSchema,
  written: z.array(z.number()),
  versions: z.strictObject({ target: z.string(), initiator: z.string() }),
});

/** A snapshot takes as much as its guests have touched of their memory, about 150 MiB each. */
const NEEDS_MIB = 900;

/** What all snapshots together may take on disk, in MiB; RIG_SNAPSHOT_MIB sets it. */
const keepMiB = (): number => {
  const asked = Number(process.env["RIG_SNAPSHOT_MIB"]);
  return Number.isFinite(asked) && asked > 0 ? asked : 4096;
};

/** So often a lab is booted to be saved, if it loses its sessions each time. */
const MAX_BOOTS = 3;

/** A lab that is only there to be saved has nobody who reads its history. */
const NO_SINK: HistorySink = { record: () => undefined };

interface Stored {
  readonly snapshot: Snapshot;
  readonly configured: Configured;
}

/**
 * The labs of a run. A boot takes all the CPU that a small machine has, and a lab beside it would miss its timers: so while one
 * boots, nothing else runs.
 */
export class Labs {
  readonly #log: Log;
  readonly #useSnapshots: boolean;
  readonly #gate = new Gate();
  /** A restored lab needs both CPUs for a moment: starting together, labs would take them from each other and from those that run. */
  readonly #starts = new Gate();
  /** Snapshots that could not be had, and why. */
  readonly #refused = new Map<string, string>();
  /** One maker for each key; others who ask for it wait. */
  readonly #making = new Map<string, { readonly stored: Promise<Stored>; readonly signal: AbortSignal }>();
  /** Keys that were thrown away once in this run since they could not be restored. */
  readonly #remade = new Set<string>();

  constructor(options: { log: Log; snapshots: boolean }) {
    this.#log = options.log;
    this.#useSnapshots = options.snapshots;
  }

  /** Makes the snapshot if it is not there and can be had. */
  async prepare(request: ReadyLabRequest): Promise<void> {
    if (this.#useSnapshots) await this.#stored(request);
  }

  /** A lab that is configured and ready for a timeline. */
  async ready(request: ReadyLabRequest): Promise<ReadyLab> {
    const stored = this.#useSnapshots ? await this.#stored(request) : undefined;
    if (stored === undefined) return this.#cold(request);
    const [lease, start] = await request.phase("queue", () => this.#turn(request.signal));
    try {
      return { ...(await restore(request, stored)), lease, started: () => start.release() };
    } catch (error) {
      start.release();
      lease.release();
      request.signal.throwIfAborted();
      const { key } = stored.snapshot;
      const now = await this.#making.get(key)?.stored.catch(() => undefined);
      // Another lab has failed with it too, and it is thrown away already.
      if (now !== stored) return this.ready(request);
      const what = `The snapshot of ${request.kernel.name} could not be restored: ${messageOf(error)}`;
      if (this.#remade.has(key)) {
        this.#refuse(key, what);
      } else {
        this.#remade.add(key);
        this.#log.say(`${what} It is thrown away and made again.`, "warn");
        this.#making.delete(key);
        await discardEntry(SNAPSHOT_KIND, key);
      }
      return this.ready(request);
    }
  }

  /** The right to be there beside others, and the right to start. */
  async #turn(signal: AbortSignal): Promise<[Lease, Lease]> {
    const lease = await this.#gate.shared(signal);
    try {
      return [lease, await this.#starts.exclusive(signal)];
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  async #cold(request: ReadyLabRequest): Promise<ReadyLab> {
    const { scenario, sink, phase, signal } = request;
    const lease = await phase("queue", () => this.#gate.exclusive(signal));
    let lab: Lab | undefined;
    try {
      const setUp = configureLab(scenario, sink, signal);
      const booted = await phase("boot", () =>
        bootLab({ ...request, shape: shapeOf(scenario.lab), onNode: setUp.onNode }),
      );
      lab = booted;
      const configured = await phase("set-up", () => setUp.done(booted));
      const why = this.#useSnapshots ? this.#refused.get(keyOf(request)) : "snapshots are turned off";
      lease.share();
      return { lab, configured, how: "cold", lease, started: () => undefined, ...(why === undefined ? {} : { why }) };
    } catch (error) {
      await lab?.[Symbol.asyncDispose]();
      lease.release();
      throw error;
    }
  }

  /** The snapshot, made if need be; undefined where it cannot be had. */
  async #stored(request: ReadyLabRequest): Promise<Stored | undefined> {
    const key = keyOf(request);
    if (this.#refused.has(key)) return undefined;
    let making = this.#making.get(key);
    if (making === undefined) {
      making = { stored: this.#make(key, request), signal: request.signal };
      this.#making.set(key, making);
    }
    const forget = () => {
      if (this.#making.get(key) === making) this.#making.delete(key);
    };
    try {
      const stored = await making.stored;
      // It may have been thrown away, or cut short, since: another rig's doing, or somebody's who needed the space.
      if ((await peekCache(SNAPSHOT_KIND, key)) !== undefined) {
        await touchEntry(stored.snapshot.directory);
        return stored;
      }
      forget();
    } catch (error) {
      forget();
      request.signal.throwIfAborted();
      // What the kernel lacks a second boot will not give it.
      if (error instanceof RigError && error.code === "RIG_ISCSI_SETUP" && error.blame === "environment") throw error;
      if (!making.signal.aborted) {
        this.#refuse(key, `No snapshot of ${request.kernel.name} could be made: ${messageOf(error)}`);
        return undefined;
      }
      // Whoever made it gave up, and that says nothing about the snapshot.
    }
    return this.#stored(request);
  }

  #refuse(key: string, why: string): void {
    if (this.#refused.has(key)) return;
    this.#refused.set(key, why);
    this.#log.say(`${why} Its labs are booted instead, each for itself.`, "warn");
  }

  /** A lab that lost a session before it could be saved is no beginning for others: then it is booted again. */
  async #make(key: string, request: ReadyLabRequest): Promise<Stored> {
    for (let boot = 1; ; boot++) {
      try {
        return await this.#makeOnce(key, request);
      } catch (error) {
        if (boot === MAX_BOOTS || !(error instanceof RigError) || error.context["lostSession"] !== true) throw error;
        this.#log.say(`${error.message} It is booted again.`, "warn");
      }
    }
  }

  async #makeOnce(key: string, request: ReadyLabRequest): Promise<Stored> {
    const { scenario, kernel } = request;
    const directory = await cached({
      kind: SNAPSHOT_KIND,
      key,
      what: `the snapshot of a lab with ${kernel.name}`,
      needsMiB: NEEDS_MIB,
      log: this.#log,
      signal: request.signal,
      build: async building => {
        const lease = await this.#gate.exclusive(request.signal);
        using _end = { [Symbol.dispose]: () => lease.release() };
        this.#log.say(`Booting ${kernel.name} once for ${scenario.name}: its cells start from a snapshot of it.`);
        const setUp = configureLab(scenario, NO_SINK, request.signal);
        await using lab = await bootLab({
          ...request,
          shape: shapeOf(scenario.lab),
          onNode: setUp.onNode,
          sink: NO_SINK,
          artefacts: building,
          saveTo: building,
          survives: false,
        });
        const configured = await setUp.done(lab);
        const saved = await saveLab(lab, building);
        await lab.collect();
        await requireNoLoss(building);
        await writeFile(
          path.join(building, SNAPSHOT_FILES.about),
          `${JSON.stringify({ version: 2, configured, ...saved }, null, 2)}\n`,
        );
      },
    });
    await trimCache(SNAPSHOT_KIND, keepMiB(), key);
    const text = await readFile(path.join(directory, SNAPSHOT_FILES.about), "utf8");
    const { configured, written, versions } = aboutSchema.parse(JSON.parse(text));
    return { snapshot: { key, directory, written, versions }, configured };
  }
}

const keyOf = ({ bay, kernel, scenario, backingMiB }: ReadyLabRequest): string =>
  snapshotKey(bay.host, kernel, [String(backingMiB), ...setUpParts(scenario)], shapeOf(scenario.lab));

const restore = async (
  request: ReadyLabRequest,
  { snapshot, configured }: Stored,
): Promise<Omit<ReadyLab, "lease" | "started">> => {
  // The files are not read whole each time, their sizes and times are looked at; but these are small, and QEMU believes nearly all of it.
  const flaw = await contentFlaw(snapshot.directory, NODE_NAMES.map(SNAPSHOT_FILES.devices));
  if (flaw !== undefined) throw new RigError("RIG_LAB_SNAPSHOT", `${flaw}.`);
  request.sink.record({
    kind: "note",
    text: `The lab is restored from the snapshot ${snapshot.key}; the consoles begin with its boot.`,
  });
  await tellBootConsoles(snapshot.directory, request.artefacts, request.sink);
  const lab = await request.phase("restore", () =>
    restoreLab({ ...request, shape: shapeOf(request.scenario.lab), snapshot }),
  );
  return { lab, configured, how: "restored" };
};
