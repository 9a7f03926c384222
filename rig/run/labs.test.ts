import { readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RigError } from "../core/errors.ts";
import { type Log, silentLog } from "../core/log.ts";
import { NODE_NAMES } from "../core/names.ts";
import type { Unstamped } from "../history/event.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Bay } from "../lab/bay.ts";
import type { Lab } from "../lab/lab.ts";
import type { LabRequest, RestoreRequest, SavableRequest } from "../lab/request.ts";
import type { Configured } from "../scenario/bench.ts";
import { type Scenario, scenarioDataSchema } from "../scenario/scenario.ts";
import { ownCache, temporaryDirectory } from "../testing/bench-dir.ts";
import { Labs, type ReadyLab, type ReadyLabRequest } from "./labs.ts";

/** Stands in for everything that needs a machine: what it was asked, and what goes wrong. */
const world = vi.hoisted(() => ({
  told: [] as string[],
  /** What was on the machine's CPUs together that must not be. */
  clashes: [] as string[],
  booting: 0,
  /** Labs that are there and hold a lease. */
  beside: 0,
  boot: (): Promise<void> => Promise.resolve(),
  configure: (): Promise<void> => Promise.resolve(),
  save: (): Promise<void> => Promise.resolve(),
  /** The last line of each console of a boot. */
  says: (): string => "up",
  restore: (request: unknown): Promise<void> =>
    request === undefined ? Promise.reject(new Error("asked for nothing")) : Promise.resolve(),
}));

const CONFIGURED: Configured = {
  sessions: [
    {
      path: "a",
      sid: "1",
      disks: [{ lun: 0, name: "sda", dev: "8:0", sectors: 2048 }],
      values: { HeaderDigest: "None" },
    },
  ],
  target: { ErrorRecoveryLevel: "0" },
};

const labOf = (name: string): Lab => {
  const lab = {
    collect: () => Promise.resolve(void world.told.push(`collect ${name}`)),
    [Symbol.asyncDispose]: () => Promise.resolve(void world.told.push(`remove ${name}`)),
  };
  return lab as unknown as Lab;
};

vi.mock("../lab/lab.ts", () => ({
  bootLab: async (request: LabRequest | SavableRequest) => {
    const what = "saveTo" in request ? `${request.kernel.name} to save` : request.kernel.name;
    world.told.push(`boot ${what}`);
    if (world.booting > 0) world.clashes.push(`${what} beside a boot`);
    if (world.beside > 0) world.clashes.push(`${what} beside ${world.beside} labs`);
    world.booting++;
    try {
      await world.boot();
    } catch (error) {
      world.booting--;
      throw error;
    }
    for (const node of "saveTo" in request ? NODE_NAMES : []) {
      await writeFile(path.join(request.artefacts, `memory-${node}`), `what the ${node} knows`);
      await writeFile(
        path.join(request.artefacts, `console-${node}.log`),
        ` 12.345678 ${node} boots\n 12.5 ${world.says()}\n`,
      );
    }
    return labOf(what);
  },
  restoreLab: async (request: RestoreRequest) => {
    world.told.push(`restore ${request.kernel.name}`);
    if (world.booting > 0) world.clashes.push("a restored lab beside a boot");
    await world.restore(request);
    return labOf("restored");
  },
}));
vi.mock("../lab/save.ts", () => ({
  saveLab: async (_lab: Lab, directory: string) => {
    world.told.push("save");
    await world.save();
    for (const node of NODE_NAMES) await writeFile(path.join(directory, `devices-${node}`), "registers");
    return { written: [], versions: { target: "#1", initiator: "#1" } };
  },
}));
vi.mock("../scenario/bench.ts", async original => ({
  ...(await original<typeof import("../scenario/bench.ts")>()),
  configureLab: () => ({
    onNode: () => undefined,
    done: async () => {
      try {
        await world.configure();
      } finally {
        world.booting--;
      }
      return CONFIGURED;
    },
  }),
}));

const KERNEL = { name: "6.1", bundle: { key: "bundle" } } as unknown as Kernel;
const OTHER_KERNEL = { name: "6.12", bundle: { key: "other" } } as unknown as Kernel;
const BAY = {
  host: { image: { key: "i" }, root: { key: "r" }, accelerator: { accelerator: "tcg", qemu: "7.2", why: "" } },
} as unknown as Bay;

const scenario = (noopTimeout = 5): Scenario => ({
  name: "g/one",
  ...scenarioDataSchema.parse({
    title: "a scenario of a test",
    about: [],
    healthy: "It does what the test expects.",
    lab: { paths: 2, transport: "tcp", multipath: "failover" },
    timing: { noopTimeout },
    ledger: { slots: 8, slotBytes: 4096 },
  }),
  timeline: () => Promise.resolve(),
});

let cache = "";
let artefacts = "";
let said: string[] = [];

beforeEach(async () => {
  cache = await ownCache();
  artefacts = await temporaryDirectory();
  said = [];
  Object.assign(world, { told: [], clashes: [], booting: 0, beside: 0 });
  for (const name of ["boot", "configure", "save", "restore"] as const) world[name] = () => Promise.resolve();
  world.says = () => "up";
});
afterEach(() => {
  expect(world.clashes).toEqual([]);
});

const labsOf = (snapshots = true): Labs => {
  const log: Log = { ...silentLog, say: text => void said.push(text) };
  return new Labs({ log, snapshots });
};

interface Asked {
  readonly events: Unstamped[];
  readonly phases: string[];
  readonly abort: AbortController;
  readonly ready: Promise<ReadyLab & { end: () => void }>;
}

/** Asks for a lab. It is beside others until its `end`. */
const ask = (labs: Labs, more: Partial<ReadyLabRequest> = {}): Asked => {
  const events: Unstamped[] = [];
  const phases: string[] = [];
  const abort = new AbortController();
  const request: ReadyLabRequest = {
    bay: BAY,
    kernel: KERNEL,
    scenario: scenario(),
    backingMiB: 64,
    sink: { record: event => void events.push(event) },
    artefacts,
    timeoutScale: 1,
    signal: abort.signal,
    phase: (name, work) => {
      phases.push(name);
      return work();
    },
    onCleanupFailure: () => undefined,
    ...more,
  };
  const ready = labs.ready(request).then(lab => {
    world.beside++;
    const end = () => {
      world.beside--;
      lab.started();
      lab.lease.release();
    };
    return { ...lab, end };
  });
  ready.catch(() => undefined);
  return { events, phases, abort, ready };
};

/** Asks for a lab and has its timeline begin. */
const start = async (labs: Labs, more: Partial<ReadyLabRequest> = {}) => {
  const lab = await ask(labs, more).ready;
  lab.started();
  return lab;
};

const settle = () => new Promise(setImmediate);
const count = (what: string): number => world.told.filter(line => line.startsWith(what)).length;
const snapshots = async (): Promise<readonly string[]> => readdir(path.join(cache, "snapshot")).catch(() => []);
/** The file of the one snapshot that there is. */
const inSnapshot = async (name: string): Promise<string> =>
  path.join(cache, "snapshot", (await snapshots())[0] ?? "", name);

const UNMIGRATABLE = new RigError("RIG_LAB_SNAPSHOT", "migrate of the target: State blocked by a device");

describe("a snapshot", () => {
  test("is made once for all who ask, and its lab is gone before theirs begin", async () => {
    const labs = labsOf();
    const all = await Promise.all([1, 2, 3].map(() => start(labs)));
    expect(all.map(({ how, why, configured }) => ({ how, why, configured }))).toEqual(
      all.map(() => ({ how: "restored", why: undefined, configured: CONFIGURED })),
    );
    expect(world.told).toEqual([
      ...["boot 6.1 to save", "save", "collect 6.1 to save", "remove 6.1 to save"],
      ...["restore 6.1", "restore 6.1", "restore 6.1"],
    ]);
    expect(said).toEqual(["Booting 6.1 once for g/one: its cells start from a snapshot of it."]);
  });

  test("comes from the cache in the next run", async () => {
    (await start(labsOf())).end();
    world.told.length = 0;
    const manifest = await inSnapshot("manifest.json");
    await utimes(manifest, 0, 0);
    const lab = await start(labsOf());
    // Whoever makes room goes by when it was last used.
    expect((await stat(manifest)).mtimeMs).toBeGreaterThan(0);
    expect(lab).toMatchObject({ how: "restored", configured: CONFIGURED });
    expect(world.told).toEqual(["restore 6.1"]);
  });

  test("is one for each kernel and each set of parameters", async () => {
    const labs = labsOf();
    const asks = [
      {},
      { kernel: OTHER_KERNEL },
      { scenario: scenario(7) },
      { backingMiB: 128 },
      { scenario: scenario() },
    ];
    for (const more of asks) (await start(labs, more)).end();
    expect([count("boot"), (await snapshots()).length]).toEqual([4, 4]);
  });

  test("tells the history where the lab comes from, and what its kernels said when they booted", async () => {
    const asked = ask(labsOf());
    await asked.ready;
    const [key] = await snapshots();
    expect(asked.events).toEqual([
      { kind: "note", text: `The lab is restored from the snapshot ${key}; the consoles begin with its boot.` },
      { kind: "console", node: "target", line: "target boots" },
      { kind: "console", node: "target", line: "up" },
      { kind: "console", node: "initiator", line: "initiator boots" },
      { kind: "console", node: "initiator", line: "up" },
    ]);
    expect(asked.phases).toEqual(["queue", "restore"]);
    expect(await readFile(path.join(artefacts, "console-target.log"), "utf8")).toBe(
      " 12.345678 target boots\n 12.5 up\n--- restored from a snapshot ---\n",
    );
  });

  test.each<[string, () => Promise<unknown>]>([
    ["was cut short", async () => truncate(await inSnapshot("memory-target"), 3)],
    ["is gone", async () => rm(await inSnapshot("memory-initiator"))],
  ])("of which a file %s is made again, by a run that has used it too", async (_what, damage) => {
    const labs = labsOf();
    for (const user of [labs, labsOf(), labs]) {
      (await start(user)).end();
      await damage();
    }
    expect(await start(labs)).toMatchObject({ how: "restored" });
    expect([count("boot"), count("restore")]).toEqual([4, 4]);
    expect(await readFile(await inSnapshot("memory-target"), "utf8")).toBe("what the target knows");
    expect(said.filter(line => line.startsWith("Cached the snapshot of a lab with 6.1 is damaged: "))).toHaveLength(3);
  });

  test("takes no more room than it may: the one not used for longest goes", async () => {
    vi.stubEnv("RIG_SNAPSHOT_MIB", "0.001");
    const labs = labsOf();
    (await start(labs)).end();
    const [first] = await snapshots();
    (await start(labs, { kernel: OTHER_KERNEL })).end();
    const [second, ...more] = await snapshots();
    expect([second === first, more]).toEqual([false, []]);
    expect(await start(labs)).toMatchObject({ how: "restored" });
  });
});

describe("a lab that loses a session before it is saved", () => {
  const LOST = "[  142.1] connection1:0: detected conn error (1022)";

  test("is booted again, and that is said", async () => {
    world.says = () => (count("boot") === 1 ? LOST : "up");
    expect(await start(labsOf())).toMatchObject({ how: "restored" });
    expect([count("boot"), (await snapshots()).length]).toEqual([2, 1]);
    expect(said[1]).toBe(
      'The lab that was to be saved lost a session before it was ("connection1:0: detected conn error (1022)"): this machine was too busy. It is booted again.',
    );
  });

  test("three times is not saved: labs boot for themselves, with the reason", async () => {
    world.says = () => LOST;
    expect(await start(labsOf())).toMatchObject({
      how: "cold",
      why: expect.stringContaining("was too busy") as string,
    });
    expect([count("boot 6.1 to save"), await snapshots()]).toEqual([3, []]);
  });
});

describe("a restore that fails", () => {
  test("throws the snapshot away; it is made again, and that is said", async () => {
    let tries = 0;
    world.restore = () => (++tries === 1 ? Promise.reject(new Error("unknown ramblock")) : Promise.resolve());
    const lab = await start(labsOf());
    expect(lab).toMatchObject({ how: "restored" });
    expect([count("boot"), count("restore"), (await snapshots()).length]).toEqual([2, 2, 1]);
    expect(said).toEqual([
      expect.stringContaining("Booting 6.1 once"),
      "The snapshot of 6.1 could not be restored: unknown ramblock It is thrown away and made again.",
      expect.stringContaining("Booting 6.1 once"),
    ]);
  });

  test("is not tried with devices that are not as they were saved, though the file looks the same", async () => {
    (await start(labsOf())).end();
    const file = await inSnapshot("devices-initiator");
    const seconds = Math.round((await stat(file)).mtimeMs) / 1000;
    await writeFile(file, "retsigers");
    await utimes(file, seconds, seconds);
    world.told.length = 0;
    expect(await start(labsOf())).toMatchObject({ how: "restored" });
    expect([count("boot"), count("restore")]).toEqual([1, 1]);
    expect(said.find(line => line.includes("made again"))).toContain("devices-initiator");
    expect(await readFile(await inSnapshot("devices-initiator"), "utf8")).toBe("registers");
  });

  test("of several labs at once throws the snapshot away once, and all are restored from the new one", async () => {
    const labs = labsOf();
    (await start(labs)).end();
    let tries = 0;
    world.restore = () => (++tries === 1 ? Promise.reject(new Error("unknown ramblock")) : Promise.resolve());
    const asks = await Promise.all(
      [1, 2, 3].map(async () => {
        const lab = await start(labs);
        lab.end();
        return lab.how;
      }),
    );
    expect(asks).toEqual(["restored", "restored", "restored"]);
    expect(count("boot")).toBe(2);
  });

  test("fails with the new one too: labs boot for themselves, with the reason, which is said once", async () => {
    world.restore = () => Promise.reject(new Error("unknown ramblock."));
    const labs = labsOf();
    const why = "The snapshot of 6.1 could not be restored: unknown ramblock.";
    for (const _ of [1, 2, 3]) {
      const lab = await start(labs);
      expect(lab).toMatchObject({ how: "cold", why });
      lab.end();
    }
    expect([count("boot 6.1 to save"), count("restore"), count("boot")]).toEqual([2, 2, 5]);
    expect(said.slice(-2)).toEqual([
      expect.stringContaining("Booting 6.1 once"),
      `${why} Its labs are booted instead, each for itself.`,
    ]);
    expect(said).toHaveLength(4);
  });

  test("leaves other kernels' snapshots alone", async () => {
    world.restore = request =>
      (request as RestoreRequest).kernel === KERNEL ? Promise.reject(new Error("no")) : Promise.resolve();
    const labs = labsOf();
    (await start(labs)).end();
    expect(await start(labs, { kernel: OTHER_KERNEL })).toMatchObject({ how: "restored" });
  });

  test("since the caller gave up says nothing of the snapshot", async () => {
    const labs = labsOf();
    (await start(labs)).end();
    const asked = ask(labs);
    world.restore = () => {
      asked.abort.abort(new Error("Stopped by SIGINT."));
      return Promise.reject(new Error("cut short"));
    };
    await expect(asked.ready).rejects.toThrow("Stopped by SIGINT.");
    world.restore = () => Promise.resolve();
    expect(await start(labs)).toMatchObject({ how: "restored" });
    expect([count("boot"), said.length]).toEqual([1, 1]);
  });
});

describe("a snapshot that cannot be made", () => {
  test("is said once, with the reason, and labs boot for themselves", async () => {
    world.save = () => Promise.reject(UNMIGRATABLE);
    const labs = labsOf();
    const why = `No snapshot of 6.1 could be made: ${UNMIGRATABLE.message}`;
    const labsReady = await Promise.all(
      [1, 2, 3].map(async () => {
        const lab = await start(labs);
        lab.end();
        return lab;
      }),
    );
    for (const lab of labsReady) expect(lab).toMatchObject({ how: "cold", why, configured: CONFIGURED });
    expect([count("boot 6.1 to save"), count("remove 6.1 to save"), count("boot")]).toEqual([1, 1, 4]);
    expect(said.slice(1)).toEqual([`${why} Its labs are booted instead, each for itself.`]);
    expect(await snapshots()).toEqual([]);
  });

  test("since its lab did not boot is no snapshot, and the next boot is the cell's own", async () => {
    let boots = 0;
    world.boot = () => (++boots === 1 ? Promise.reject(new Error("no init")) : Promise.resolve());
    const asked = ask(labsOf());
    expect(await asked.ready).toMatchObject({ how: "cold", why: "No snapshot of 6.1 could be made: no init" });
    expect(asked.phases).toEqual(["queue", "boot", "set-up"]);
  });

  test("since the kernel lacks what the scenario needs costs one boot, and is the cell's error", async () => {
    const lacking = new RigError("RIG_ISCSI_SETUP", "The transport iser needs ib_iser.", { blame: "environment" });
    world.configure = () => Promise.reject(lacking);
    await expect(ask(labsOf()).ready).rejects.toBe(lacking);
    expect([count("boot"), said.length]).toEqual([1, 1]);
  });

  test("since the one who made it gave up is made by another who waits for it", async () => {
    const labs = labsOf();
    const { promise, reject } = Promise.withResolvers<undefined>();
    world.boot = async () => {
      await promise;
    };
    const maker = ask(labs);
    const other = ask(labs);
    await vi.waitFor(() => expect(count("boot")).toBe(1));
    world.boot = () => Promise.resolve();
    maker.abort.abort(new Error("Expected the cell to be over"));
    reject(new Error("cut short"));
    await expect(maker.ready).rejects.toThrow("Expected the cell to be over");
    expect(await other.ready).toMatchObject({ how: "restored" });
  });

  test("since the caller gave up refuses nothing", async () => {
    const labs = labsOf();
    const asked = ask(labs);
    world.boot = () => {
      asked.abort.abort(new Error("Stopped by SIGINT."));
      return Promise.reject(new Error("cut short"));
    };
    await expect(asked.ready).rejects.toThrow("Stopped by SIGINT.");
    world.boot = () => Promise.resolve();
    expect(await start(labs)).toMatchObject({ how: "restored" });
  });
});

test("with snapshots turned off every lab boots for itself, and the cache is left alone", async () => {
  const labs = labsOf(false);
  for (const _ of [1, 2]) {
    const lab = await start(labs);
    expect(lab).toMatchObject({ how: "cold", why: "snapshots are turned off", configured: CONFIGURED });
    lab.end();
  }
  expect(world.told).toEqual(["boot 6.1", "boot 6.1"]);
  expect([said, await snapshots()]).toEqual([[], []]);
});

describe("labs side by side", () => {
  /** A boot that goes on until the test ends it. */
  const slowBoot = () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    world.boot = async () => {
      await promise;
    };
    return () => resolve(undefined);
  };

  test("boot one after another; a lab that is configured runs beside the next boot's wait, not beside the boot", async () => {
    const labs = labsOf(false);
    const finish = slowBoot();
    const asks = [1, 2, 3].map(() => ask(labs));
    await settle();
    expect(count("boot")).toBe(1);
    finish();
    for (const [index, { ready }] of asks.entries()) {
      const lab = await ready;
      await settle();
      expect(count("boot")).toBe(index + 1);
      lab.end();
    }
  });

  test("a cold boot waits for every restored lab, and labs that come later wait for it", async () => {
    const labs = labsOf();
    const restored = [await start(labs), await start(labs)];
    world.save = () => Promise.reject(UNMIGRATABLE);
    const cold = ask(labs, { kernel: OTHER_KERNEL });
    await vi.waitFor(async () => expect(await snapshots()).toContainEqual(expect.stringMatching(/^\./)));
    await settle();
    const late = ask(labs);
    await vi.waitFor(() => expect(late.phases).toEqual(["queue"]));
    await settle();
    expect([count("boot 6.12"), count("restore")]).toEqual([0, 2]);
    for (const lab of restored) lab.end();
    const lab = await late.ready;
    lab.end();
    (await cold.ready).end();
    expect(await cold.ready).toMatchObject({ how: "cold" });
    expect(count("boot 6.12")).toBe(2);
  });

  test("a lab that was booted for itself is soon one among others", async () => {
    const labs = labsOf();
    (await start(labs)).end();
    world.save = () => Promise.reject(UNMIGRATABLE);
    const cold = await start(labs, { kernel: OTHER_KERNEL });
    expect(cold.how).toBe("cold");
    expect(await start(labs)).toMatchObject({ how: "restored" });
  });

  test("start one after another: the next is restored when the timeline of the one before begins", async () => {
    const labs = labsOf();
    const first = await ask(labs).ready;
    const second = ask(labs);
    const third = ask(labs);
    await vi.waitFor(() => expect([...second.phases, ...third.phases]).toEqual(["queue", "queue"]));
    await settle();
    expect(count("restore")).toBe(1);
    first.started();
    first.started();
    const next = await Promise.race([second.ready, third.ready]);
    await settle();
    expect(count("restore")).toBe(2);
    next.started();
    await Promise.all([second.ready, third.ready]);
    expect(count("restore")).toBe(3);
  });

  test("one that is given up while it waits for its turn keeps nobody out", async () => {
    const labs = labsOf();
    const first = await ask(labs).ready;
    const asked = ask(labs);
    await vi.waitFor(() => expect(asked.phases).toEqual(["queue"]));
    asked.abort.abort(new Error("Stopped by SIGINT."));
    await expect(asked.ready).rejects.toThrow("Stopped by SIGINT.");
    first.end();
    (await start(labs, { kernel: OTHER_KERNEL })).end();
    expect(count("boot 6.12")).toBe(1);
  });

  test("one that does not boot, or cannot be configured, is removed and keeps nobody out", async () => {
    const labs = labsOf(false);
    world.boot = () => Promise.reject(new Error("no init"));
    await expect(start(labs)).rejects.toThrow("no init");
    world.boot = () => Promise.resolve();
    world.configure = () => Promise.reject(new Error("no target"));
    await expect(start(labs)).rejects.toThrow("no target");
    expect(world.told.at(-1)).toBe("remove 6.1");
    world.configure = () => Promise.resolve();
    expect(await start(labs)).toMatchObject({ how: "cold" });
  });
});
