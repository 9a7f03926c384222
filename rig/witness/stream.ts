/**
 * A TCP stream put together from a capture at its receiver. Segments may come twice, out of order, and cut short by the capture's
 * limit; what lies behind bytes that never came was never handed to anybody, so the stream ends there.
 */
import type { Segment } from "./frame.ts";

export interface Stream {
  readonly bytes: Buffer;
  /** Where each segment begins, in the order of the stream. */
  readonly starts: readonly number[];
  /** Whether all of these bytes were captured. */
  readonly isKnown: (from: number, to: number) => boolean;
  /** When the stream had come as far as `to`, on the capture's clock, in microseconds. */
  readonly readyUs: (to: number) => number;
}

/** A segment's place in the stream, and up to where it holds, and was kept. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly keptTo: number;
  readonly readyUs: number;
}

const WRAP = 2 ** 32;

/** Places that do not wrap around: each is the one next to the segment before. */
const placed = (segments: readonly Segment[]): readonly (Segment & { readonly at: number })[] => {
  let last = segments[0]?.seq ?? 0;
  return segments.map(segment => {
    const ahead = (((segment.seq - last) % WRAP) + WRAP) % WRAP;
    last += ahead >= WRAP / 2 ? ahead - WRAP : ahead;
    return { ...segment, at: last + (segment.isFirst ? 1 : 0) };
  });
};

/** The first of the spans, which are in order, that ends behind `position`. */
const spanAt = (spans: readonly Span[], position: number): number => {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.to ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Puts one connection's segments together; they are given in the order in which they were captured. */
export const assemble = (segments: readonly Segment[]): Stream => {
  const all = placed(segments);
  const ordered = all.filter(({ length }) => length > 0).toSorted((a, b) => a.at - b.at);
  const begin = ordered[0]?.at ?? 0;
  const spans: Span[] = [];
  const parts: Buffer[] = [];
  let end = begin;
  let readyUs = 0;
  for (const { at, bytes, length, tUs } of ordered) {
    if (at > end) break;
    const known = at + length - end;
    if (known <= 0) continue;
    readyUs = Math.max(readyUs, tUs);
    const kept = bytes.subarray(end - at, length);
    parts.push(kept, Buffer.alloc(known - kept.length));
    spans.push({ from: end - begin, to: end + known - begin, keptTo: end + kept.length - begin, readyUs });
    end += known;
  }
  return {
    bytes: Buffer.concat(parts),
    starts: spans.map(({ from }) => from),
    isKnown: (from, to) => {
      for (let index = spanAt(spans, from); index < spans.length; index++) {
        const span = spans[index];
        if (span === undefined || span.from >= to) break;
        if (span.keptTo < Math.min(span.to, to)) return false;
      }
      return to <= end - begin;
    },
    readyUs: to => spans[spanAt(spans, to - 1)]?.readyUs ?? readyUs,
  };
};
