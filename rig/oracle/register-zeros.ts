/**
 * Zeros are not unique: the first content, every write-zeroes and every discard may have left them. So a read of zeros has
 * candidates: whoever may have put zeros there and whose zeros, with this read, do not conflict with what is certain of
 * the unique writes. With one candidate it is as unique as any other data, and the decision is exact. With several it
 * says nothing that could be held against the disk and is left out; with none it is illegal, and it is given to the
 * latest candidate, with which it conflicts. So a legal history is never blamed, but one may be believed that is not.
 */
import { Candidates, diagnose } from "./diagnosis.ts";
import { countBelow } from "./diagnosis-zones.ts";
import { INITIAL, type RegisterRead, type RegisterWrite, UNWRITTEN, type Zone } from "./register.ts";
import { executionOf, isEarly } from "./register-executions.ts";

/** How many candidates of one read are weighed; where there are more it is left out. */
const WEIGHED = 64;

/** The zones of the unique writes, asked whether one of them conflicts with another zone. */
class CertainZones {
  readonly #ends: Float64Array;
  /** The greatest `maxStart` of the zones up to each of `#ends`. */
  readonly #latest: Float64Array;

  constructor(writes: readonly RegisterWrite[], reads: readonly RegisterRead[]) {
    const byId = new Map(writes.map(write => [write.id, write]));
    const seen = reads.flatMap((read): Zone[] => {
      const write = byId.get(read.of);
      if (write === undefined) return [];
      return [isEarly(write, read) ? executionOf(write, read) : { minEnd: write.endNs, maxStart: read.startNs }];
    });
    const acknowledged = writes.flatMap(({ startNs, endNs, required }): Zone[] =>
      required ? [{ minEnd: endNs, maxStart: startNs }] : [],
    );
    const certain = [...acknowledged, ...seen].sort((a, b) => a.minEnd - b.minEnd);
    this.#ends = new Float64Array(certain.map(({ minEnd }) => minEnd));
    this.#latest = new Float64Array(certain.length);
    let latest = Number.NEGATIVE_INFINITY;
    certain.forEach(({ maxStart }, index) => {
      latest = Math.max(latest, maxStart);
      this.#latest[index] = latest;
    });
  }

  conflict(minEnd: number, maxStart: number): boolean {
    const before = countBelow(this.#ends, maxStart);
    return before > 0 && (this.#latest[before - 1] as number) > minEnd;
  }
}

/**
 * The reads, each of zeros given to the one writer that can have left them, or left out.
 * @param zeroers who may have written zeros, the first content aside.
 * @param reads those of zeros are of INITIAL.
 */
export const resolveZeros = (
  uniques: readonly RegisterWrite[],
  zeroers: readonly RegisterWrite[],
  reads: readonly RegisterRead[],
): RegisterRead[] => {
  if (zeroers.length === 0) return [...reads];
  // What is wrong anyhow says nothing that could be held against a read of zeros.
  const named = reads.filter(({ of }) => of !== INITIAL);
  const wrong = new Set(diagnose(uniques, named).culprits.map(({ read }) => read));
  const certain = new CertainZones(
    uniques,
    named.filter(read => !wrong.has(read)),
  );
  const candidates = new Candidates(zeroers);
  return reads.flatMap(read => {
    if (read.of !== INITIAL) return [read];
    let weighed = 0;
    let latest: number | undefined;
    const fitting: number[] = [];
    for (const { id, startNs, endNs } of candidates.over(read.startNs, read.endNs, true)) {
      latest ??= id;
      if (++weighed > WEIGHED) return [];
      const fits = !certain.conflict(Math.min(endNs, read.endNs), Math.max(startNs, read.startNs));
      if (fits) fitting.push(id);
      if (fitting.length > 1) return [];
    }
    return [{ ...read, of: fitting[0] ?? latest ?? UNWRITTEN.id }];
  });
};
