/**
 * A rule asked of a source: whether it holds, and the places in the code that say so. What is looked for is looked for in
 * the bodies of functions, without comments and layout.
 */
import { type CFunction, type Code, type CSource, find, readC } from "./c-source.ts";
import type { Fixes, Probe, Rule } from "./fixes.ts";

/** A place in the source that decides. */
export interface Evidence {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The function, where it is in one. */
  readonly function?: string;
  /** The line, without its indentation; for what is not there, what was looked for. */
  readonly excerpt: string;
  /** False where the point is that the code is not there. */
  readonly there: boolean;
}

/** The texts of source files by their paths in the tree. A file that is not here is not in the tree. */
export type Sources = ReadonlyMap<string, string>;

/** A question that this source cannot answer, and why. */
export class Undecidable extends Error {}

interface Holds {
  readonly holds: boolean;
  readonly evidence: readonly Evidence[];
}

/** Asks rules of one source. */
export class RuleReader {
  readonly #fixes: Fixes;
  readonly #sources: Sources;
  readonly #read = new Map<string, CSource>();

  constructor(fixes: Fixes, sources: Sources) {
    this.#fixes = fixes;
    this.#sources = sources;
  }

  holds(rule: Rule): Holds {
    if ("all" in rule) {
      const each = rule.all.map(one => this.holds(one));
      const failed = each.find(({ holds }) => !holds);
      return failed ?? { holds: true, evidence: each.flatMap(({ evidence }) => evidence) };
    }
    if ("any" in rule) {
      const each = rule.any.map(one => this.holds(one));
      return each.find(({ holds }) => holds) ?? { holds: false, evidence: each.flatMap(({ evidence }) => evidence) };
    }
    if ("not" in rule) {
      const { holds, evidence } = this.holds(rule.not);
      return { holds: !holds, evidence };
    }
    if ("see" in rule) {
      const named = this.#fixes.rules[rule.see];
      if (named === undefined) throw new Undecidable(`there is no rule ${rule.see}`);
      return this.holds(named);
    }
    return this.#probe(rule);
  }

  #probe(probe: Probe): Holds {
    const file = this.#fixes.files[probe.file] ?? probe.file;
    const source = this.#source(file);
    if (probe.in === undefined) return this.#ask(probe, source.all, { file, name: undefined, line: 1 });
    for (const name of probe.in) {
      const found = source.functions.filter(one => one.name === name);
      if (found.length === 0) continue;
      const each = found.map((one: CFunction) => this.#ask(probe, one, { file, name, line: one.line }));
      if (each.some(({ holds }) => holds !== each[0]?.holds))
        throw new Undecidable(`${file} has ${name}() more than once, and they differ`);
      return each[0] as Holds;
    }
    const excerpt = `${probe.in.join("() or ")}()`;
    return { holds: false, evidence: [{ file, line: 1, excerpt, there: false }] };
  }

  #ask(probe: Probe, code: Code, where: { file: string; name: string | undefined; line: number }): Holds {
    const evidence: Evidence[] = [];
    const at = (line: number, excerpt: string, there: boolean) =>
      evidence.push({
        file: where.file,
        line,
        ...(where.name === undefined ? {} : { function: where.name }),
        excerpt,
        there,
      });
    const saw = (index: number) => {
      const line = code.lines[index] ?? where.line;
      at(line, this.#line(where.file, line), true);
    };
    const missing = (wanted: string): Holds => {
      evidence.length = 0;
      at(where.line, wanted, false);
      return { holds: false, evidence };
    };
    for (const wanted of probe.has ?? []) {
      const index = find(code, wanted);
      if (index < 0) return missing(wanted);
      saw(index);
    }
    let from = 0;
    for (const wanted of probe.order ?? []) {
      const index = find(code, wanted, from);
      if (index < 0) return missing(wanted);
      saw(index);
      from = index + wanted.length;
    }
    if (probe.matches !== undefined) {
      const match = new RegExp(probe.matches, "s").exec(code.text);
      if (match === null) return missing(probe.matches);
      saw(match.index);
    }
    for (const unwanted of probe.lacks ?? []) {
      const index = find(code, unwanted);
      if (index < 0) continue;
      evidence.length = 0;
      saw(index);
      return { holds: false, evidence };
    }
    if (probe.lacks !== undefined) at(where.line, probe.lacks.join(", "), false);
    // A function that is there is all that was asked for.
    if (evidence.length === 0) saw(-1);
    return { holds: true, evidence };
  }

  #source(file: string): CSource {
    let read = this.#read.get(file);
    if (read === undefined) {
      const text = this.#sources.get(file);
      if (text === undefined) throw new Undecidable(`the source has no ${file}`);
      read = readC(text);
      this.#read.set(file, read);
    }
    return read;
  }

  #line(file: string, line: number): string {
    const text = this.#sources.get(file)?.split("\n")[line - 1]?.trim() ?? "";
    return text.length > 120 ? `${text.slice(0, 119)}…` : text;
  }
}
