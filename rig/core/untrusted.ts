/**
 * Text that came out of a machine under test. A crashing kernel prints what it likes: colour codes, half a character,
 * a megabyte without a newline. Before such text is stored or shown it is made one bounded line of printable characters.
 */

/** An escape sequence: CSI (`ESC [ ... letter`), OSC and its kin up to BEL or ESC \, or ESC and one character. */
const ESCAPE =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?/gu;

/** Control characters, line separators, and marks that turn the direction of the text around them. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** No more than this many times the bound is looked at, so that a line of escape sequences costs bounded time. */
const SLACK = 8;

/**
 * One line of at most `maxChars` UTF-16 units: escape sequences and control characters gone, tabs a space, broken
 * characters replaced by U+FFFD. What was cut off is marked by an ellipsis, which counts.
 */
export const cleanLine = (text: string, maxChars: number): string => {
  const looked = text.length > maxChars * SLACK ? text.slice(0, maxChars * SLACK) : text;
  const clean = looked.replace(ESCAPE, "").replaceAll("\t", " ").replace(UNPRINTABLE, "").toWellFormed();
  const cut = clean.length > maxChars || looked.length < text.length;
  return cut ? `${clean.slice(0, Math.max(0, maxChars - 1)).replace(/[\ud800-\udbff]$/, "")}…` : clean;
};

/** Text of several lines as a terminal may have it, each of them cleaned by itself. */
export const printable = (text: string): string =>
  text
    .split("\n")
    .map(line => cleanLine(line, Number.MAX_SAFE_INTEGER))
    .join("\n");

/** JSON as a terminal may have it. What must not reach one is written as an escape, so that its reader gets the same. */
export const printableJson = (json: string): string =>
  json.replace(UNPRINTABLE, character =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
