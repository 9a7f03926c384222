/** The audit against Debian's own sources, and against every variant of them: what it says was checked by hand once. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLog } from "../core/log.ts";
import { auditSource } from "./audit.ts";
import type { Sources } from "./audit-rules.ts";
import { auditSourceOf } from "./audit-source.ts";
import { findKernel, loadCatalogue } from "./catalogue.ts";
import { type Fixes, loadFixes } from "./fixes.ts";
import { applyVariants, loadVariants } from "./variants.ts";

/** What variants change and no rule looks at. */
const PATCHED = ["drivers/infiniband/ulp/iser/iscsi_iser.c", "include/scsi/scsi_transport_iscsi.h"];

/** What each variant takes away, beside the answers of a part's whole; "-" before what has nothing left to mend. */
const LESS: Readonly<Record<string, readonly string[]>> = {
  "seed-defect-1": ["23d6fefbb3f6 (1)", "23d6fefbb3f6 (2)", "-0aadafb5c344"],
  "seed-defect-2": ["23d6fefbb3f6 (2)"],
  "seed-defect-3": ["23d6fefbb3f6 (3)", "0aadafb5c344", "-7c6e99c18167"],
  "seed-defect-4": ["23d6fefbb3f6 (4)"],
  "without-seed": [
    ...["23d6fefbb3f6 (1)", "23d6fefbb3f6 (2)", "23d6fefbb3f6 (3)", "23d6fefbb3f6 (4)"],
    ...["cbd2283aaf47", "-0aadafb5c344", "-7c6e99c18167", "03690d819745", "06c203a5566b"],
  ],
  "without-endpoint-ref": ["0aadafb5c344"],
  "without-cleanup-lock": ["7c6e99c18167"],
  "without-bound-check": ["03690d819745"],
  "tcp-linger": ["c0920cd36f17"],
  "tcp-late-shutdown": ["788b71c54f21"],
  "offload-model": [],
  "slow-stop": [],
  "slow-disconnect": [],
};

const SEED = "23d6fefbb3f6";

const answersOf = (fixes: Fixes, sources: Sources): ReadonlyMap<string, string> =>
  new Map(
    auditSource(fixes, sources).flatMap(answer => [
      [answer.id, answer.verdict] as const,
      ...answer.parts.map(part => [part.id, part.verdict] as const),
    ]),
  );

describe.each([
  {
    name: "debian-5.10",
    absent: ["c0920cd36f17", "788b71c54f21", "3c6ae371b8a1", "44ac97109e42", "d39df158518c", "fda290c5ae98"],
    beside: ["258aad75c621"],
    without: ["tcp-linger", "tcp-late-shutdown"],
  },
  { name: "debian-6.1", absent: [], beside: [], without: [] },
  { name: "debian-6.12", absent: [], beside: [], without: [] },
])("$name", ({ name, absent, beside, without }) => {
  let fixes: Fixes;
  let tree: string;
  let sources: Sources;
  let answers: ReadonlyMap<string, string>;

  beforeAll(async () => {
    fixes = await loadFixes();
    const catalogue = await loadCatalogue();
    const files = [...new Set([...Object.values(fixes.files), ...PATCHED])];
    const source = await auditSourceOf(findKernel(catalogue, name), { files, catalogue, log: silentLog });
    if ("why" in source) throw new Error(source.why);
    ({ sources } = source);
    tree = await mkdtemp(path.join(tmpdir(), "rig-audit-"));
    for (const [file, text] of sources) {
      await mkdir(path.join(tree, path.dirname(file)), { recursive: true });
      await writeFile(path.join(tree, file), text);
    }
    answers = answersOf(fixes, sources);
  });
  afterAll(() => rm(tree, { recursive: true, force: true }));

  test("carries what it is known to carry, and nothing is unknown", () => {
    const of = (verdict: string) => [...answers].filter(([, seen]) => seen === verdict).map(([id]) => id);
    expect(of("absent").toSorted()).toEqual([...absent].toSorted());
    expect(of("not-applicable")).toEqual(beside);
    expect(of("unknown")).toEqual([]);
    expect(of("present").length).toBeGreaterThan(20);
  });

  test("with each variant lacks exactly what that takes away", async () => {
    const variants = await loadVariants();
    expect(variants.map(variant => variant.name).toSorted()).toEqual(Object.keys(LESS).toSorted());
    for (const variant of variants) {
      if (without.includes(variant.name)) continue;
      const { files } = await applyVariants(tree, name, [variant]);
      const changed = new Map([...sources, ...[...files].map(([file, text]) => [file, text ?? ""] as const)]);
      const seen = [...answersOf(fixes, changed)]
        .filter(([id, verdict]) => id !== SEED && answers.get(id) !== verdict)
        .map(([id, verdict]) => (verdict === "absent" ? id : `${verdict === "not-applicable" ? "-" : "?"}${id}`));
      expect([variant.name, seen.toSorted()]).toEqual([variant.name, [...(LESS[variant.name] ?? [])].toSorted()]);
    }
  });

  test.each(without)("cannot have %s taken away again", async variant => {
    const variants = (await loadVariants()).filter(one => one.name === variant);
    await expect(applyVariants(tree, name, variants)).rejects.toThrow("does not apply to");
  });

  test("takes an instrument on top of any variant", async () => {
    const variants = await loadVariants();
    const instruments = variants.filter(({ kind }) => kind === "instrument");
    expect(instruments.length).toBeGreaterThan(0);
    for (const variant of variants.filter(one => one.kind !== "instrument" && !without.includes(one.name)))
      expect((await applyVariants(tree, name, [variant, ...instruments])).used).toHaveLength(1 + instruments.length);
  });
});
