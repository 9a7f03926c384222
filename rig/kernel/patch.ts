/**
 * Unified diffs, applied exactly: every line of a hunk must be there, its context included, though it may have moved. There
 * is no fuzz, so a patch either says what the source says or is refused. Pure: nothing is written before everything fits.
 */

export interface Hunk {
  /** Line of the old file that the hunk begins at, from 1; 0 in an empty file. */
  readonly start: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** Ends the file, without a newline. */
  readonly cutBefore: boolean;
  readonly cutAfter: boolean;
}

export interface FilePatch {
  /** As in the tree: without the first part of the diff's path. */
  readonly name: string;
  readonly creates: boolean;
  readonly deletes: boolean;
  readonly hunks: readonly Hunk[];
}

const NOWHERE = "/dev/null";

/** `a/drivers/x.c<tab>date` is drivers/x.c; undefined for a path that would lead out of the tree. */
const stripped = (header: string): string | undefined => {
  const name = header.split("\t")[0]?.trim() ?? "";
  if (name === NOWHERE) return NOWHERE;
  const parts = name.split("/").slice(1);
  const safe =
    parts.length > 0 && !name.startsWith("/") && parts.every(part => part !== "" && part !== "." && part !== "..");
  return safe ? parts.join("/") : undefined;
};

/** Reads one hunk at `at`; returns it and the line behind it, or what is wrong with it. */
const parseHunk = (lines: readonly string[], at: number): { hunk: Hunk; next: number } | string => {
  const header = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(lines[at] ?? "");
  if (header === null) return `line ${at + 1}: expected @@ -a,b +c,d @@`;
  let old = Number(header[2] ?? 1);
  let fresh = Number(header[4] ?? 1);
  const before: string[] = [];
  const after: string[] = [];
  let [cutBefore, cutAfter] = [false, false];
  let next = at + 1;
  let last = "";
  for (; old > 0 || fresh > 0 || lines[next]?.startsWith("\\") === true; next++) {
    const line = lines[next];
    if (line === undefined) return `line ${at + 1}: the hunk is cut short`;
    // Editors and mailers take the space of an empty context line away.
    const mark = line === "" ? " " : line.charAt(0);
    const text = line.slice(1);
    if (mark === "\\") {
      cutBefore ||= last !== "+";
      cutAfter ||= last !== "-";
      continue;
    }
    if (mark !== " " && mark !== "-" && mark !== "+") return `line ${next + 1}: expected a line of the hunk`;
    if (mark !== "+") {
      before.push(text);
      old--;
    }
    if (mark !== "-") {
      after.push(text);
      fresh--;
    }
    if (old < 0 || fresh < 0) return `line ${at + 1}: the hunk has more lines than its header says`;
    last = mark;
  }
  return { hunk: { start: Number(header[1]), before, after, cutBefore, cutAfter }, next };
};

/** Reads a patch, or says what is wrong with it. Text before and between the files' diffs is left out. */
export const parsePatch = (text: string): readonly FilePatch[] | string => {
  const lines = text.split("\n");
  const files: FilePatch[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [from, to] = [lines[at] ?? "", lines[at + 1] ?? ""];
    if (/^(rename|copy) (from|to) |^GIT binary patch$|^(new|old) mode /.test(from))
      return `line ${at + 1}: renames, copies, modes and binary files are not supported`;
    if (from.startsWith("@@ ")) return `line ${at + 1}: a hunk without the names of its file`;
    if (!from.startsWith("--- ") || !to.startsWith("+++ ")) continue;
    const [oldName, newName] = [stripped(from.slice(4)), stripped(to.slice(4))];
    const name = newName === NOWHERE ? oldName : newName;
    if (oldName === undefined || newName === undefined || name === undefined || name === NOWHERE)
      return `line ${at + 1}: expected paths such as a/drivers/scsi/libiscsi.c`;
    const hunks: Hunk[] = [];
    at += 2;
    while (lines[at]?.startsWith("@@ ") === true) {
      const read = parseHunk(lines, at);
      if (typeof read === "string") return read;
      hunks.push(read.hunk);
      at = read.next;
    }
    if (hunks.length === 0) return `line ${at + 1}: expected a hunk of ${name}`;
    files.push({ name, creates: oldName === NOWHERE, deletes: newName === NOWHERE, hunks });
    at--;
  }
  return files.length === 0 ? "it changes no file" : files;
};

const matches = (lines: readonly string[], at: number, wanted: readonly string[]): boolean =>
  at >= 0 && at + wanted.length <= lines.length && wanted.every((line, i) => lines[at + i] === line);

/** The nearest place to `expected`, not before `from`, where the lines are; -1 if there is none. */
const locate = (lines: readonly string[], wanted: readonly string[], expected: number, from: number): number => {
  for (let distance = 0; distance <= lines.length; distance++) {
    for (const at of distance === 0 ? [expected] : [expected - distance, expected + distance])
      if (at >= from && matches(lines, at, wanted)) return at;
  }
  return -1;
};

/**
 * The file's text after a patch; undefined where the patch deletes it. `text` is undefined where there is no file. What
 * does not fit is told as `{ why }`.
 */
export const applyFilePatch = (
  text: string | undefined,
  patch: FilePatch,
): { readonly text: string | undefined } | { readonly why: string } => {
  if (patch.creates && text !== undefined) return { why: `${patch.name} is there already` };
  if (!patch.creates && text === undefined) return { why: `${patch.name} is not there` };
  const whole = text ?? "";
  let ended = whole === "" || whole.endsWith("\n");
  const lines = whole === "" ? [] : (ended ? whole.slice(0, -1) : whole).split("\n");
  const result: string[] = [];
  let taken = 0;
  let offset = 0;
  for (const [index, hunk] of patch.hunks.entries()) {
    const expected = Math.max(0, hunk.start - (hunk.before.length === 0 ? 0 : 1)) + offset;
    const at = locate(lines, hunk.before, expected, taken);
    const last = at + hunk.before.length === lines.length;
    const fits = at >= 0 && (hunk.cutBefore ? last && !ended : ended || !last || hunk.before.length === 0);
    if (!fits)
      return {
        why: `hunk ${index + 1} of ${patch.name} (line ${hunk.start}) does not match what the source says there`,
      };
    result.push(...lines.slice(taken, at), ...hunk.after);
    taken = at + hunk.before.length;
    offset = at - (expected - offset);
    if (last) ended = !hunk.cutAfter;
  }
  result.push(...lines.slice(taken));
  if (patch.deletes)
    return result.length === 0 ? { text: undefined } : { why: `${patch.name} has more than the patch deletes` };
  return { text: result.length === 0 ? "" : result.join("\n") + (ended ? "\n" : "") };
};
