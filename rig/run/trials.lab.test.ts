import { open } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lab } from "../lab/lab.ts";
import { type Node, script } from "../lab/node.ts";
import type { Cell } from "../results/schema.ts";
import type { TimelineContext } from "../scenario/scenario.ts";
import { setBackend } from "../testing/backend.ts";
import { type LabFixture, labFixture, runTamperedCell, TEST_LAB } from "../testing/lab-fixture.ts";

/**
 * Every judge on trial in a real lab: the disk lies behind the target's back, a kernel is made to complain, something is left
 * over, an error comes through. Each gives its own class, and no other. The cells mostly wait for timers, so they run side by side.
 */

const SLOT = 4096;
const MAPPER = { lab: { ...TEST_LAB, mapper: true } };

/** Writes every slot while the path that carries the writes is cut, so that the cell has put something to the test. */
const writeThroughDrop = async ({ ledger, path: paths, recovered }: TimelineContext): Promise<void> => {
  await paths.a.drop();
  await (await ledger.rewrite()).acknowledged();
  await paths.a.heal();
  await recovered();
};

const classes = (cell: Cell): readonly string[] => cell.findings.map(({ oracle, class: name }) => `${oracle}: ${name}`);

describe.concurrent("the disk behind the target on trial", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("debian-6.1");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  const imageOf = (lab: Lab): string => lab.backings[0] ?? "";
  const readImage = async (lab: Lab, offset: number, length: number): Promise<Buffer> => {
    await using image = await open(imageOf(lab), "r");
    return (await image.read(Buffer.alloc(length), 0, length, offset)).buffer;
  };
  const writeImage = async (lab: Lab, offset: number, bytes: Buffer): Promise<void> => {
    await using image = await open(imageOf(lab), "r+");
    await image.write(bytes, 0, bytes.length, offset);
  };

  test("untouched, it is believed", async () => {
    const cell = await runTamperedCell(fixture, "untouched", async context => {
      await (await context.ledger.rewrite()).acknowledged();
      await writeThroughDrop(context);
    });
    expect([cell.status, cell.reason, classes(cell)]).toEqual(["PASS", undefined, []]);
  });

  test.each([
    [
      "stale",
      async ({ ledger }: TimelineContext, lab: Lab, old: Buffer) => {
        await ledger.observe();
        await writeImage(lab, SLOT, old.subarray(SLOT, 2 * SLOT));
      },
    ],
    // Nobody has seen the newer data there, so it may as well never have come.
    ["lost", (_: TimelineContext, lab: Lab, old: Buffer) => writeImage(lab, SLOT, old.subarray(SLOT, 2 * SLOT))],
    [
      "torn",
      (_: TimelineContext, lab: Lab, old: Buffer) => writeImage(lab, SLOT + 100, old.subarray(SLOT + 100, SLOT + 300)),
    ],
    [
      "misdirected",
      async (_: TimelineContext, lab: Lab) => writeImage(lab, SLOT, await readImage(lab, 2 * SLOT, SLOT)),
    ],
    ["foreign", (_: TimelineContext, lab: Lab) => writeImage(lab, SLOT, Buffer.alloc(SLOT, 0xee))],
  ])("%s data on its image is that and nothing else", async (name, tamper) => {
    const cell = await runTamperedCell(fixture, `tampered-${name}`, async (context, lab) => {
      await (await context.ledger.rewrite()).acknowledged();
      const old = await readImage(lab, 0, 8 * SLOT);
      await writeThroughDrop(context);
      await tamper(context, lab, old);
    });
    expect([cell.status, classes(cell)]).toEqual(["FAIL", [`integrity: ${name}`]]);
    const [extent] = cell.findings[0]?.extents ?? [];
    expect(extent?.sector).toBe(8);
  });

  test("a disk that acknowledges writes and drops them has lost them", async () => {
    const cell = await runTamperedCell(
      fixture,
      "dropping",
      async (context, lab) => {
        await (await context.ledger.rewrite()).acknowledged();
        await setBackend(lab.nodes.target, { kind: "drop-writes" });
        await writeThroughDrop(context);
        await setBackend(lab.nodes.target, { kind: "none" });
      },
      MAPPER,
    );
    expect([cell.status, classes(cell)]).toEqual(["FAIL", ["integrity: lost"]]);
  });

  test("a disk that is slow, and not too slow, is believed", async () => {
    const cell = await runTamperedCell(
      fixture,
      "slow",
      async (context, lab) => {
        await setBackend(lab.nodes.target, { kind: "delay", ms: 300 });
        await (await context.ledger.rewrite()).acknowledged();
        await setBackend(lab.nodes.target, { kind: "none" });
        await writeThroughDrop(context);
      },
      MAPPER,
    );
    expect([cell.status, cell.reason, classes(cell)]).toEqual(["PASS", undefined, []]);
  });

  test("a session that nobody asked for is left over", async () => {
    const cell = await runTamperedCell(fixture, "second-session", async (context, lab) => {
      await (await context.ledger.rewrite()).acknowledged();
      await lab.nodes.initiator.ssh.execOk(["iscsiadm", "-m", "session", "-r", "1", "--op", "new"]);
      await writeThroughDrop(context);
    });
    expect([cell.status, classes(cell)]).toEqual(["FAIL", ["session: leaked"]]);
  });

  test("an error that multipath should have hidden is found", async () => {
    const cell = await runTamperedCell(fixture, "error", async (context, lab) => {
      await (await context.ledger.rewrite()).acknowledged();
      await script(
        lab.nodes.initiator,
        // No path is left, and nobody may wait for one: what dm-multipath must never do while its paths are well.
        "dmsetup message mp 0 fail_if_no_path; for dev in 8:0 8:16; do dmsetup message mp 0 fail_path $dev; done",
        [],
      );
      await (await context.ledger.rewrite()).answered();
      await script(lab.nodes.initiator, "dmsetup message mp 0 queue_if_no_path", []);
      await context.recovered();
      await (await context.ledger.rewrite()).acknowledged();
      await writeThroughDrop(context);
    });
    expect([cell.status, classes(cell)]).toEqual(["FAIL", ["errors: io-error"]]);
  });
});

describe.concurrent("a kernel that complains on purpose", () => {
  let fixture: LabFixture;
  beforeAll(async () => {
    fixture = await labFixture("linux-5.10+slow-stop");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  /** Makes the kernel run into one of its own traps (Documentation/fault-injection/provoke-crashes.rst). */
  const provoke = async (node: Node, trap: string): Promise<void> => {
    await script(
      node,
      'mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug; (echo "$1" > /sys/kernel/debug/provoke-crash/DIRECT) || true',
      [trap],
    );
  };

  test.each([
    ["a warning", "WARNING", "kernel-log: warning", /^WARNING in lkdtm_/],
    ["an oops", "EXCEPTION", "kernel-log: oops", /^NULL pointer dereference in lkdtm_/],
    ["a bug", "BUG", "kernel-log: oops", /^kernel BUG in lkdtm_/],
  ])("%s is found, and nothing else", async (_name, trap, expected, title) => {
    const cell = await runTamperedCell(fixture, `provoked-${trap.toLowerCase()}`, async (context, lab) => {
      await (await context.ledger.rewrite()).acknowledged();
      await provoke(lab.nodes.initiator, trap);
      await writeThroughDrop(context);
    });
    expect([cell.status, classes(cell)]).toEqual(["FAIL", [expected]]);
    expect(cell.findings[0]?.title).toMatch(title);
  });
});
