/**
 * C as far as reading Linux needs it: which functions a file defines, and what their bodies say once comments, the text of
 * strings and the layout are out of the way. It is exact about what confuses a search by words: a brace in a comment, in a
 * string or in a macro; the branches of #if, which open a block once each and close it once in all; a name that is part of
 * another. It does not expand macros and does not know types.
 */

/** Code without layout, and where each of its characters stands in the file. */
export interface Code {
  readonly text: string;
  /** Line of the file, from 1, of each character of `text`. */
  readonly lines: readonly number[];
}

export interface CFunction extends Code {
  readonly name: string;
  /** Line of the opening brace. */
  readonly line: number;
}

export interface CSource {
  /** The whole file: macros and declarations too. */
  readonly all: Code;
  /** In the order of the file. One name may be there twice, in branches of an #if. */
  readonly functions: readonly CFunction[];
}

/** As many blanks, with the line ends, and what continues a line, where they were: places stay right, and macros whole. */
const blank = (text: string): string => text.replaceAll(/\\(?!\n)|[^\\\n]/g, " ");

/** One comment, string or character constant: where a match of another alternative may not begin. */
const TOKEN = /\/\*[^]*?(?:\*\/|$)|\/\/(?:\\\n|[^\n])*|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?/g;

/** Comments become blanks, and so does what is between the quotes of strings and characters. */
const withoutComments = (text: string): string =>
  text.replaceAll(TOKEN, token =>
    token.startsWith("/")
      ? blank(token)
      : `${token[0] ?? ""}${blank(token.slice(1, -1))}${token.length > 1 ? (token.at(-1) ?? "") : ""}`,
  );

const DIRECTIVE = /^[ \t]*#[ \t]*([a-z]*)((?:\\\n|[^\n])*)/gm;

/** What #if 0 leaves out becomes blanks. A branch that some configuration may have stays. */
const withoutDeadBranches = (text: string): string => {
  const dead: [number, number][] = [];
  /** For each open #if: from where its present branch is dead, if it is. */
  const open: { deadFrom: number | undefined }[] = [];
  for (const match of text.matchAll(DIRECTIVE)) {
    const [whole, word, rest = ""] = match;
    const branch = open.at(-1);
    if (word?.startsWith("if") === true) {
      open.push({ deadFrom: word === "if" && rest.trim() === "0" ? match.index + whole.length : undefined });
    } else if ((word === "else" || word === "elif" || word === "endif") && branch !== undefined) {
      if (branch.deadFrom !== undefined) dead.push([branch.deadFrom, match.index]);
      branch.deadFrom = undefined;
      if (word === "endif") open.pop();
    }
  }
  let left = text;
  for (const [from, to] of dead) left = left.slice(0, from) + blank(left.slice(from, to)) + left.slice(to);
  return left;
};

const isWord = (char: string | undefined): boolean => char !== undefined && /\w/.test(char);

/** Takes the layout out: blanks stay, as one, only where two words would run together. */
const compact = (text: string, firstLine: number): Code => {
  let out = "";
  let line = firstLine;
  let gap = false;
  const lines: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (/[\s\\]/.test(char)) {
      gap = true;
      if (char === "\n") line++;
      continue;
    }
    if (gap && isWord(char) && isWord(out.at(-1))) {
      out += " ";
      lines.push(line);
    }
    out += char;
    lines.push(line);
    gap = false;
  }
  return { text: out, lines };
};

/** A text to look for, as `find` compares it: the layout is no matter. */
export const compactText = (text: string): string => compact(text, 1).text;

/**
 * Where `wanted` (compact) begins in the code at or after `from`; -1 if nowhere. It is found as whole words only:
 * `stop_conn(` is not in `iscsi_stop_conn(`.
 */
export const find = ({ text }: Code, wanted: string, from = 0): number => {
  for (let at = text.indexOf(wanted, from); at !== -1; at = text.indexOf(wanted, at + 1)) {
    const before = isWord(wanted[0]) && isWord(text[at - 1]);
    const after = isWord(wanted.at(-1)) && isWord(text[at + wanted.length]);
    if (!before && !after) return at;
  }
  return -1;
};

/**
 * The function's name in what stands before its opening brace: the identifier in front of its parameters. Annotations may
 * follow them, as in `f(x) __must_hold(&x->lock)`. Undefined for a struct, an enum, or an initialiser.
 */
const nameIn = (header: string): string | undefined => {
  if (/=\s*$/.test(header)) return undefined;
  const groups: { name: string; from: number; to: number }[] = [];
  let depth = 0;
  for (let i = 0; i < header.length; i++) {
    const char = header.charAt(i);
    if (char === "(" && depth++ === 0) {
      const name = /([A-Za-z_]\w*)\s*$/.exec(header.slice(0, i));
      groups.push({ name: name?.[1] ?? "", from: name?.index ?? i, to: i });
    } else if (char === ")" && --depth === 0) {
      const group = groups.at(-1);
      if (group !== undefined) group.to = i + 1;
    }
  }
  let last = groups.pop();
  if (last === undefined || !/^[\s\w]*$/.test(header.slice(last.to))) return undefined;
  for (let before = groups.pop(); before !== undefined; before = groups.pop()) {
    if (!last.name.startsWith("__") || header.slice(before.to, last.from).trim() !== "") break;
    last = before;
  }
  return last.name === "" ? undefined : last.name;
};

/** Reads a C file. */
export const readC = (file: string): CSource => {
  const code = withoutDeadBranches(withoutComments(file));
  const plain = code.replaceAll(DIRECTIVE, blank);
  /** Places of the directives that choose between branches. */
  const forks = [...code.matchAll(DIRECTIVE)].flatMap(({ index, 1: word }) =>
    word !== undefined && /^(?:if|ifdef|ifndef|elif|else|endif)$/.test(word) ? [{ index, word }] : [],
  );
  const functions: CFunction[] = [];
  /** Depth at each open #if, and at the end of its first branch. */
  const branches: { atStart: number; afterFirst: number | undefined }[] = [];
  let depth = 0;
  let headerFrom = 0;
  let line = 1;
  let body: { name: string; from: number; line: number } | undefined;
  for (let i = 0; i < plain.length; i++) {
    while (forks[0] !== undefined && forks[0].index <= i) {
      const { word } = forks.shift() as { word: string };
      const branch = branches.at(-1);
      if (word.startsWith("if")) branches.push({ atStart: depth, afterFirst: undefined });
      else if (branch !== undefined) {
        branch.afterFirst ??= depth;
        depth = word === "endif" ? branch.afterFirst : branch.atStart;
        if (word === "endif") branches.pop();
      }
    }
    const char = plain[i];
    if (char === "\n") line++;
    else if (char === "{") {
      if (depth++ > 0) continue;
      const name = nameIn(plain.slice(headerFrom, i));
      if (name !== undefined) body = { name, from: i + 1, line };
    } else if (char === "}" && depth > 0 && --depth === 0) {
      if (body !== undefined)
        functions.push({ name: body.name, line: body.line, ...compact(plain.slice(body.from, i), body.line) });
      body = undefined;
      headerFrom = i + 1;
    } else if (char === ";" && depth === 0) headerFrom = i + 1;
  }
  return { all: compact(code, 1), functions };
};
