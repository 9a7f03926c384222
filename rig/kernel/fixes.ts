/**
 * The fixes that an audit asks for, from kernels/fixes.yaml: what goes wrong without each, which scenario shows it, and the
 * rules by which a source tree tells whether it has it. A version number tells nothing: a distribution carries what it
 * wants to.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf, RigError } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { ORACLES } from "../oracle/finding.ts";
import { compactText } from "./c-source.ts";

/** C, compared without its layout. */
const code = z
  .string()
  .min(1)
  .transform(compactText)
  .refine(text => text !== "", "expected code");
const codes = z.union([code.transform(one => [one]), z.array(code).min(1)]);

/** What a rule asks of one function, or of a whole file: everything that it says must be so. */
const probe = z.strictObject({
  /** A name from `files`. */
  file: z.string(),
  /** The function; of several the first that the file has. A whole file where none is named. */
  in: z.union([z.string().transform(one => [one]), z.array(z.string()).min(1)]).optional(),
  /** All of it is there. */
  has: codes.optional(),
  /** None of it is there. */
  lacks: codes.optional(),
  /** Each is there behind the one before it. */
  order: z.array(code).min(2).optional(),
  /** A regular expression for the code without layout. */
  matches: z
    .string()
    .refine(text => {
      try {
        return new RegExp(text, "s") instanceof RegExp;
      } catch {
        return false;
      }
    }, "expected a regular expression")
    .optional(),
});
export type Probe = z.infer<typeof probe>;

export type Rule =
  | Probe
  | { readonly all: readonly Rule[] }
  | { readonly any: readonly Rule[] }
  | { readonly not: Rule }
  /** The name of a rule from `rules`. */
  | { readonly see: string };

const ruleSchema: z.ZodType<Rule> = z.lazy(() =>
  z.union([
    z.strictObject({ all: z.array(ruleSchema).min(1) }),
    z.strictObject({ any: z.array(ruleSchema).min(1) }),
    z.strictObject({ not: ruleSchema }),
    z.strictObject({ see: z.string() }),
    probe,
  ]),
);

const sentence = z.string().min(10).max(300);

const shownBySchema = z.strictObject({
  scenario: z.string().regex(/^[a-z0-9-]+\/[a-z0-9-]+$/),
  /** Oracles whose findings in that scenario are this fix's absence. */
  findings: z.array(z.enum(ORACLES)).min(1),
  /** Suffixes without which a kernel passes, with or without the fix. */
  needs: z.array(z.string()).default([]),
  /** Why the scenario, though it is about the fix, does not tell whether a kernel has it. */
  undecided: sentence.optional(),
});
export type ShownBy = z.infer<typeof shownBySchema>;

const shape = { present: ruleSchema, absent: ruleSchema };
const partSchema = z.strictObject({
  part: z.number().int().positive(),
  title: sentence,
  without: sentence,
  "shown-by": shownBySchema.optional(),
  ...shape,
});
const common = {
  /** 12 hex digits of the commit in Linux's mainline. */
  commit: z.string().regex(/^[0-9a-f]{12}$/, "expected 12 hex digits of a commit"),
  title: sentence,
  without: sentence,
  "shown-by": shownBySchema.optional(),
  /** Whether the code that it mends is there. */
  applies: ruleSchema,
  /** Why not, where it is not. */
  otherwise: sentence,
};
const fixSchema = z.union([
  z.strictObject({ ...common, parts: z.array(partSchema).min(1) }),
  z.strictObject({ ...common, ...shape }),
]);

const fixesSchema = z.strictObject({
  /** Short names of source files. */
  files: z.record(
    z.string(),
    z.string().regex(/^(?:[A-Za-z0-9_-]+\/)*[A-Za-z0-9_-]+\.[ch]$/, "expected a path in a tree"),
  ),
  rules: z.record(z.string(), ruleSchema).default({}),
  fixes: z.array(fixSchema).min(1),
});

/** One thing that an audit answers: a fix, or one of several defects that it mends. */
export interface Fix {
  /** `0aadafb5c344`, or `23d6fefbb3f6 (1)` for a part. */
  readonly id: string;
  readonly commit: string;
  readonly title: string;
  /** What goes wrong without it. */
  readonly without: string;
  readonly shownBy: ShownBy | undefined;
  readonly applies: Rule;
  readonly otherwise: string;
  /** The shapes of the code with and without it; of a fix in parts they are its parts'. */
  readonly shapes: { readonly present: Rule; readonly absent: Rule } | undefined;
  readonly parts: readonly Fix[];
}

export interface Fixes {
  /** Paths in a Linux tree, by the names that rules use. */
  readonly files: Readonly<Record<string, string>>;
  readonly rules: Readonly<Record<string, Rule>>;
  readonly fixes: readonly Fix[];
}

const bad = (file: string, why: string, cause?: unknown): RigError =>
  new RigError("RIG_USAGE", `${file} ${why}`, { blame: "usage", cause });

/** Names that a rule uses and that are not there. A rule that sees itself, over others or not, has no end. */
const unknownNames = (
  rule: Rule,
  { files, rules }: Omit<Fixes, "fixes">,
  seen: readonly string[],
): readonly string[] => {
  const within = (one: Rule): readonly string[] => unknownNames(one, { files, rules }, seen);
  if ("all" in rule) return rule.all.flatMap(within);
  if ("any" in rule) return rule.any.flatMap(within);
  if ("not" in rule) return within(rule.not);
  if (!("see" in rule)) return Object.hasOwn(files, rule.file) ? [] : [`the file ${rule.file}`];
  const named = Object.hasOwn(rules, rule.see) ? rules[rule.see] : undefined;
  if (named === undefined) return [`the rule ${rule.see}`];
  if (seen.includes(rule.see)) return [`an end of the rule ${rule.see}, which sees itself`];
  return unknownNames(named, { files, rules }, [...seen, rule.see]);
};

/** Parses a list of fixes; a mistake in it is told with its place. */
export const parseFixes = (text: string, file: string): Fixes => {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw bad(file, `is not YAML: ${messageOf(error).split("\n")[0] ?? ""}`, error);
  }
  const parsed = fixesSchema.safeParse(raw);
  if (!parsed.success) throw bad(file, `is no list of fixes:\n${z.prettifyError(parsed.error)}`);
  const { files, rules } = parsed.data;
  const fixes = parsed.data.fixes.map((fix): Fix => {
    const { commit, title, without, applies, otherwise, "shown-by": shownBy } = fix;
    const own = { commit, applies, otherwise };
    if (!("parts" in fix)) {
      const shapes = { present: fix.present, absent: fix.absent };
      return { id: commit, title, without, shownBy, shapes, parts: [], ...own };
    }
    const parts = fix.parts.map(
      ({ part, present, absent, "shown-by": shows, ...words }): Fix => ({
        id: `${commit} (${part})`,
        ...words,
        shownBy: shows,
        shapes: { present, absent },
        parts: [],
        ...own,
      }),
    );
    return { id: commit, title, without, shownBy, shapes: undefined, parts, ...own };
  });
  const every = fixes.flatMap(fix => [fix, ...fix.parts]);
  const twice = every.find((fix, i) => every.findIndex(({ id }) => id === fix.id) < i);
  if (twice !== undefined) throw bad(file, `is no list of fixes: ${twice.id} is there twice.`);
  for (const { id, applies, shapes } of every) {
    for (const rule of [applies, ...(shapes === undefined ? [] : [shapes.present, shapes.absent])]) {
      const [missing] = unknownNames(rule, { files, rules }, []);
      if (missing !== undefined) throw bad(file, `is no list of fixes: ${id} wants ${missing}, which is not there.`);
    }
  }
  return { files, rules, fixes };
};

export const FIXES_FILE = path.join(PROJECT_DIR, "kernels/fixes.yaml");

export const loadFixes = async (): Promise<Fixes> => parseFixes(await readFile(FIXES_FILE, "utf8"), FIXES_FILE);
