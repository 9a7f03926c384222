/**
 * Reads a line of whole numbers, such as `[1,50000,8]`, from its bytes. A history has millions of such lines; making a string
 * of each and giving it to JSON.parse would take most of the time that reading takes.
 */

const [OPEN, CLOSE, COMMA, MINUS, ZERO] = [0x5b, 0x5d, 0x2c, 0x2d, 0x30];
const MAX_DIGITS = 16;

/**
 * The numbers of the line `bytes[from..to)`, put into the beginning of `into`; returns how many there are. -1 for any other
 * line, JSON that is written in another way included.
 */
export const readNumbers = (bytes: Uint8Array, from: number, to: number, into: number[]): number => {
  const end = to - 1;
  if (bytes[from] !== OPEN || bytes[end] !== CLOSE) return -1;
  let count = 0;
  let at = from + 1;
  for (;;) {
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    const first = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === first || at - first > MAX_DIGITS || value > Number.MAX_SAFE_INTEGER) return -1;
    into[count++] = negative ? 0 - value : value;
    if (at === end) return count;
    if (bytes[at] !== COMMA) return -1;
    at++;
  }
};
