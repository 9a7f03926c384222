/**
 * The edges of a stretch of the disk: every address at which an operation or a piece of what a read found begins or ends.
 * They are kept as one bit a sector, with the number of bits before every word beside it, so neither a sort nor a search
 * is needed to number them: what the million intervals of a history cost is a few look-ups each.
 */

const bitsIn = (word: number): number => {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
};

export class Edges {
  readonly #bits: Uint32Array;
  readonly #before: Uint32Array;
  /** The first address of the stretch. */
  #begin = 0;
  /** The words that have any edge lie from `#low` to `#high`. */
  #low = 0;
  #high = -1;

  /** @param sectors the length of a stretch. */
  constructor(sectors: number) {
    this.#bits = new Uint32Array((sectors >>> 5) + 1);
    this.#before = new Uint32Array(this.#bits.length);
  }

  /** Forgets all edges and goes to another stretch. */
  clear(begin: number): void {
    this.#bits.fill(0, this.#low, this.#high + 1);
    this.#begin = begin;
    this.#low = this.#bits.length;
    this.#high = -1;
  }

  mark(address: number): void {
    const at = address - this.#begin;
    const word = at >>> 5;
    if (word < this.#low) this.#low = word;
    if (word > this.#high) this.#high = word;
    this.#bits[word] = (this.#bits[word] as number) | (1 << (at & 31));
  }

  /** Numbers the edges in the order of their addresses, from 0. Returns how many there are. */
  number(): number {
    let count = 0;
    for (let word = this.#low; word <= this.#high; word++) {
      this.#before[word] = count;
      const bits = this.#bits[word] as number;
      if (bits !== 0) count += bitsIn(bits);
    }
    return count;
  }

  /** The number of the edge at this address. */
  place(address: number): number {
    const at = address - this.#begin;
    const below = (this.#bits[at >>> 5] as number) & ((1 << (at & 31)) - 1);
    return (this.#before[at >>> 5] as number) + (below === 0 ? 0 : bitsIn(below));
  }

  /** The addresses of all edges, in order. */
  addresses(count: number): Float64Array {
    const found = new Float64Array(count);
    let place = 0;
    for (let word = this.#low; word <= this.#high; word++) {
      for (let bits = this.#bits[word] as number; bits !== 0; bits &= bits - 1)
        found[place++] = this.#begin + word * 32 + (31 - Math.clz32(bits & -bits));
    }
    return found;
  }
}
