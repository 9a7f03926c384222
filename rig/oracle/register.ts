/**
 * One sector as a register: is there an order of its writes and reads that explains everything that was seen? Each
 * operation takes effect at one moment between its invocation and its answer; a history with such an order is called
 * linearizable. For registers in general that is NP-complete to decide. It is easy here because every write is unique, so
 * every read says which write it saw (Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 26, 1997).
 *
 * A write and the reads that saw it are a *cluster*, and in any valid order they stand together. Of a cluster only two
 * moments matter: its first answer (`minEnd`) and its last invocation (`maxStart`). Cluster X must come before Y if an
 * operation of X was answered before one of Y was invoked, that is if X.minEnd < Y.maxStart; equal moments leave both orders open. There is a valid order
 * exactly if no read ends before its write begins and no two clusters must each come before the other: any longer cycle
 * contains such a pair, because the cluster with the least minEnd precedes every cluster that has a predecessor.
 *
 * A cluster with minEnd < maxStart is a *forward zone*, the time it certainly owned the sector; the others are *backward
 * zones*. Two clusters conflict where two forward zones overlap or a backward zone lies inside a forward one, so sorting
 * decides in O(n log n).
 *
 * Writes that failed or were never answered may have had no effect. Where nobody read one, leaving it out is always
 * allowed and never harms; where somebody did, it had its effect, no later than its error, or at any time if unanswered.
 *
 * A write that is executed again before it is answered has several clusters (register-executions.ts).
 */

/** The identity of the content before the first write. */
export const INITIAL = -1;

export interface RegisterWrite {
  readonly id: number;
  readonly startNs: number;
  /** Infinity where it was not answered. */
  readonly endNs: number;
  /** True where it was acknowledged: then it must have taken effect. */
  readonly required: boolean;
}

export interface RegisterRead {
  readonly id: number;
  /** The write whose data it returned, or INITIAL. */
  readonly of: number;
  readonly startNs: number;
  readonly endNs: number;
}

/** What matters of a cluster. */
export interface Zone {
  readonly minEnd: number;
  readonly maxStart: number;
}

/** The content before the first write, as a write. */
export const UNWRITTEN: RegisterWrite = {
  id: INITIAL,
  startNs: Number.NEGATIVE_INFINITY,
  endNs: Number.NEGATIVE_INFINITY,
  required: true,
};

/** The clusters of one register in columns that are used again for the next: a disk has a million registers. */
export class Zones {
  count = 0;
  #minEnd = new Float64Array(64);
  #maxStart = new Float64Array(64);
  /** 1 where the cluster must have had its effect: acknowledged or seen. */
  #effect = new Uint8Array(64);
  /** The forward zones in the order of their beginnings. */
  #from = new Float64Array(64);
  #to = new Float64Array(64);

  /** Forgets all clusters. */
  clear(): void {
    this.count = 0;
  }

  /** Adds a cluster that nobody has seen yet. */
  add(startNs: number, endNs: number, required: boolean): void {
    const index = this.count++;
    if (index >= this.#minEnd.length) this.#grow();
    this.#minEnd[index] = endNs;
    this.#maxStart[index] = startNs;
    this.#effect[index] = required ? 1 : 0;
  }

  /** Adds a read to the cluster that was added as number `index`, from 0. */
  see(index: number, startNs: number, endNs: number): void {
    if (endNs < (this.#minEnd[index] as number)) this.#minEnd[index] = endNs;
    if (startNs > (this.#maxStart[index] as number)) this.#maxStart[index] = startNs;
    this.#effect[index] = 1;
  }

  /** Whether no two clusters must each come before the other. */
  consistent(): boolean {
    let forward = 0;
    let sorted = true;
    for (let index = 0; index < this.count; index++) {
      const begin = this.#minEnd[index] as number;
      const end = this.#maxStart[index] as number;
      if (begin >= end || this.#effect[index] === 0) continue;
      if (forward > 0 && begin < (this.#from[forward - 1] as number)) sorted = false;
      this.#from[forward] = begin;
      this.#to[forward++] = end;
    }
    if (forward === 0) return true;
    if (!sorted) this.#sort(forward);
    for (let place = 1; place < forward; place++)
      if ((this.#from[place] as number) < (this.#to[place - 1] as number)) return false;
    return this.#backwardFit(forward);
  }

  /** Whether no backward zone lies inside a forward one. Those do not overlap, so only one may be around it. */
  #backwardFit(forward: number): boolean {
    let place = 0;
    for (let index = 0; index < this.count; index++) {
      const minEnd = this.#minEnd[index] as number;
      const maxStart = this.#maxStart[index] as number;
      if (minEnd < maxStart || this.#effect[index] === 0) continue;
      // Writes come in the order of their invocation, so the place is mostly that of the one before or the next.
      if (place < forward && (this.#from[place] as number) < maxStart) {
        while (place + 1 < forward && (this.#from[place + 1] as number) < maxStart) place++;
      } else {
        place = this.#lastBefore(forward, maxStart);
        if (place < 0) {
          place = 0;
          continue;
        }
      }
      if (minEnd < (this.#to[place] as number)) return false;
    }
    return true;
  }

  /** Of the forward zones, the last that begins before `moment`; -1 for none. */
  #lastBefore(forward: number, moment: number): number {
    let low = 0;
    let high = forward;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#from[middle] as number) < moment) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Sorts the forward zones. They are nearly in order, and only where they are not is a real sort worth its while. */
  #sort(forward: number): void {
    const [from, to] = [this.#from, this.#to];
    let moves = 16 * forward;
    for (let index = 1; index < forward; index++) {
      const begin = from[index] as number;
      const end = to[index] as number;
      let place = index;
      for (; place > 0 && (from[place - 1] as number) > begin; place--, moves--) {
        from[place] = from[place - 1] as number;
        to[place] = to[place - 1] as number;
      }
      from[place] = begin;
      to[place] = end;
      if (moves < 0) break;
    }
    if (moves >= 0) return;
    const order = Uint32Array.from({ length: forward }, (_, index) => index);
    const [begins, ends] = [from.slice(0, forward), to.slice(0, forward)];
    order.sort((a, b) => (begins[a] as number) - (begins[b] as number));
    order.forEach((old, index) => {
      from[index] = begins[old] as number;
      to[index] = ends[old] as number;
    });
  }

  #grow(): void {
    const wanted = this.#minEnd.length * 2;
    const grown = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const next = new Float64Array(wanted);
      next.set(old);
      return next;
    };
    this.#minEnd = grown(this.#minEnd);
    this.#maxStart = grown(this.#maxStart);
    this.#from = grown(this.#from);
    this.#to = grown(this.#to);
    const effect = new Uint8Array(wanted);
    effect.set(this.#effect);
    this.#effect = effect;
  }
}
