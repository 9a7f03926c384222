/** What the target's own account adds to a finding, and what it cannot tell. */
import { describe, expect, test } from "vitest";
import type { EventOf } from "../history/event.ts";
import { findingSchema } from "./finding.ts";
import { integrityOracle } from "./integrity.ts";
import { HistoryBuilder, written } from "./testdata/history-builder.ts";

const witness = (more: Partial<EventOf<"witness">> = {}): EventOf<"witness"> => ({
  t: 30e9,
  kind: "witness",
  by: "tracepoints",
  whole: true,
  skewNs: 1_000_000,
  text: "12 commands",
  ...more,
});

const command = (at: number, more: Partial<EventOf<"command">> = {}): EventOf<"command"> => ({
  t: at * 1e9,
  kind: "command",
  action: "write",
  lun: 0,
  sector: 8,
  sectors: 8,
  path: "a",
  session: "a#1",
  tag: 0x1000003a,
  cmdSN: 57,
  status: 0,
  ...more,
});

/** Generation 1 and 2 of a slot; generation 2 was read, and generation 1 stands there at the end. */
const stale = () =>
  new HistoryBuilder()
    .write(1, { at: 1, ok: 3, sector: 8, sectors: 8 })
    .fault("path-drop:a#1", 0.5, 3)
    .write(2, { at: 2, ok: 2.5, sector: 8, sectors: 8 })
    .write(40, { at: 3.2, ok: 3.5, sector: 8, sectors: 8 })
    .read(41, { at: 3.6, ok: 3.7, sector: 8, sectors: 8, content: [written(40, 8, 8)] })
    .readBack(50, 10, [written(1, 8, 8)]);

const judged = (builder: HistoryBuilder) => {
  const [finding] = integrityOracle.judge(builder.build()).findings;
  return findingSchema.parse(finding);
};

describe("a stale finding", () => {
  test("names the very command, its session and when it was executed", () => {
    const { explanation, extents, lines } = judged(
      stale().add(
        command(1.5, { path: "b", session: "b#1", tag: 7, cmdSN: 3 }),
        command(3.3, { path: "b", session: "b#1", tag: 8, cmdSN: 4 }),
        command(4.123),
        command(4.5, { sector: 16 }),
        command(4.6, { action: "read" }),
        witness(),
      ),
    );
    expect(explanation).toContain(
      "The target executed a WRITE of sectors 8 to 15, CmdSN 57, tag 0x1000003a, of path a's session a#1, at 4.123 s, " +
        "1.023 s after path-drop:a#1 was healed and 0.623 s after write 40 was acknowledged.",
    );
    expect(extents?.[0]?.commands).toEqual([
      { session: "a#1", path: "a", tag: 0x1000003a, cmdSN: 57, sector: 8, sectors: 8, executedNs: 4.123e9 },
    ]);
    expect(lines.length).toBeGreaterThan(0);
  });

  test("a second command in the newer write's life may be that write's", () => {
    const { explanation } = judged(stale().add(command(3.3, { path: "b" }), command(3.4), witness()));
    expect(explanation).toContain("at 3.400 s");
    expect(explanation).toContain("it may be that one's");
  });

  test("without a command the target's backend is suspected", () => {
    const { explanation, extents } = judged(stale().add(command(3.3, { path: "b" }), witness()));
    expect(explanation).toContain("points behind the target, at its backing device");
    expect(extents?.[0]?.commands).toBeUndefined();
  });

  test("not by an account with gaps", () => {
    const { explanation } = judged(stale().add(command(3.3), witness({ whole: false })));
    expect(explanation).toContain("its account is not whole, so it cannot tell");
  });

  test("a capture's word is marked as one", () => {
    const builder = stale().add(command(4.123), witness({ by: "capture", whole: false, skewNs: 5_000_000 }));
    const { explanation } = judged(builder);
    expect(explanation).toContain("from the packet capture, within 0.005 s");
    expect(explanation).toContain("not whole, so there may have been others");
  });

  test("where nobody saw the commands, it says so", () => {
    const words = "No tracepoints, and no capture.";
    expect(judged(stale().add(witness({ by: "nothing", text: words }))).explanation).toContain(words);
    expect(judged(stale()).explanation).not.toContain("target's commands");
  });
});

describe("a lost write", () => {
  const lost = () =>
    new HistoryBuilder()
      .write(1, { at: 1, ok: 2, sector: 8, sectors: 8 })
      .write(2, { at: 3, ok: 4, sector: 8, sectors: 8 })
      .readBack(50, 10, [written(1, 8, 8)]);

  test("that the target executed was lost behind it", () => {
    const { class: name, explanation } = judged(lost().add(command(3.5), witness()));
    expect(name).toBe("lost");
    expect(explanation).toContain("Write 2 did reach the target: it executed a WRITE of sectors 8 to 15");
    expect(explanation).toContain("completed it with status 0");
  });

  test("is not said to have been executed where another write's command was", () => {
    const builder = new HistoryBuilder()
      .write(1, { at: 0, ok: 4.5, sectors: 16 })
      .write(2, { at: 1, ok: 3, sector: 8, sectors: 8 })
      .write(3, { at: 4, ok: 6, sector: 8, sectors: 8 })
      .readBack(50, 10, [written(2, 8, 8)]);
    const { explanation } = judged(builder.add(command(2), command(4.2, { sector: 0, sectors: 16 }), witness()));
    expect(explanation).toContain("Write 3 may have reached the target: it executed a WRITE of sectors 0 to 15");
    expect(explanation).toContain("but another write was under way then, so it may be that one's.");
    expect(explanation).not.toContain("lost behind the target");
  });

  test("that the target never saw was acknowledged by somebody else", () => {
    expect(judged(lost().add(command(1.5), witness())).explanation).toContain(
      "The target executed no command for write 2 between its invocation and its acknowledgement.",
    );
    expect(judged(lost().add(witness({ whole: false }))).explanation).toContain("but it is not whole");
  });
});

test("other wrong content has the last command that changed the sector", () => {
  const builder = new HistoryBuilder()
    .write(1, { at: 1, ok: 2, sector: 8 })
    .read(2, { at: 5, ok: 6, sector: 8, content: [{ is: "foreign", at: 8, n: 1, head: "6b".repeat(64) }] })
    .add(command(1.5, { tag: 1 }), command(3, { tag: 2 }), command(7, { tag: 3 }), witness());
  const { explanation } = judged(builder);
  expect(explanation).toContain("They repeat the byte 0x6b");
  expect(explanation).toContain("had changed it was a WRITE of sectors 8 to 15, CmdSN 57, tag 0x2");
});
