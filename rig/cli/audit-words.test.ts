import { expect, test } from "vitest";
import type { Answer, AuditVerdict } from "../kernel/audit.ts";
import { type Audit, auditStatus, auditWords } from "./audit-words.ts";

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

const answer = (id: string, verdict: AuditVerdict, parts: readonly Answer[] = []): Answer => ({
  id,
  commit: id.slice(0, 12),
  title: `scsi: fix ${id}`,
  without: "newer data is overwritten",
  verdict,
  how: "source",
  why: "the code says so",
  evidence: [
    { file: "drivers/t.c", line: 7, function: "stop", excerpt: "free(a);", there: true },
    { file: "drivers/t.c", line: 5, function: "stop", excerpt: "wait(", there: false },
    { file: "drivers/t.c", line: 1, excerpt: "linger", there: false },
  ],
  parts,
});

const SEED = answer("23d6fefbb3f6", "absent", [
  answer("23d6fefbb3f6 (1)", "absent"),
  answer("23d6fefbb3f6 (2)", "present"),
]);
const AUDIT: Audit = {
  kernel: "linux-5.10",
  source: { title: "linux-source-5.10 5.10.262-1", sources: new Map() },
  answers: [SEED, answer("c0920cd36f17", "unknown"), answer("0aadafb5c344", "not-applicable")],
  directory: undefined,
  run: false,
  evidence: false,
};

const words = (change: Partial<Audit> = {}): string =>
  auditWords({ ...AUDIT, ...change }, undefined)
    .join("\n")
    .replaceAll(ESCAPES, "");

test("a table, what is absent or not known with its places, and a sum", () => {
  expect(words()).toBe(`FIX           VERDICT         TITLE
23d6fefbb3f6  absent          scsi: fix 23d6fefbb3f6
  (1)         absent          scsi: fix 23d6fefbb3f6 (1)
  (2)         present         scsi: fix 23d6fefbb3f6 (2)
c0920cd36f17  unknown         scsi: fix c0920cd36f17
0aadafb5c344  not-applicable  scsi: fix 0aadafb5c344

23d6fefbb3f6 (1) absent
  without it: newer data is overwritten
  the code says so
  drivers/t.c:7 stop(): free(a);
  drivers/t.c:5 stop(): no wait(
  drivers/t.c: no linger

c0920cd36f17 unknown
  without it: newer data is overwritten
  the code says so
  drivers/t.c:7 stop(): free(a);
  drivers/t.c:5 stop(): no wait(
  drivers/t.c: no linger

linux-5.10: 1 absent, 1 unknown, 1 not applicable.
Read from linux-source-5.10 5.10.262-1.`);
});

test("with --evidence the places of every fix", () => {
  expect(words({ evidence: true })).toMatch(/\n23d6fefbb3f6 \(2\) present\n {2}the code says so\n {2}drivers\/t\.c:7/);
  expect(words()).not.toMatch(/\n23d6fefbb3f6 \(2\) present\n/);
});

test("without a source the reason is said once, and with --run what each scenario says", () => {
  const source = { why: "there is no source beside an image" };
  const alone = words({ source });
  expect(alone.match(/newer data/g)).toBeNull();
  expect(alone).toMatch(/No source: there is no source beside an image\.$/);
  expect(words({ source, run: true, directory: "results/x" })).toMatch(
    /c0920cd36f17 unknown\n {2}without it: [^]*\nResults: results\/x$/,
  );
});

test.each<[AuditVerdict, number, number]>([
  ["present", 0, 0],
  ["absent", 1, 1],
  ["unknown", 0, 1],
  ["not-applicable", 0, 0],
])("%s: --fail-on absent ends with %i, unknown with %i", (verdict, absent, unknown) => {
  const answers = [answer("23d6fefbb3f6", "not-applicable", [answer("23d6fefbb3f6 (1)", verdict)])];
  expect(auditStatus(answers, "absent")).toBe(absent);
  expect(auditStatus(answers, "unknown")).toBe(unknown);
  expect(auditStatus(answers, undefined)).toBe(0);
});
