/**
 * The kernel's trace ring, read as the kernel keeps it (Documentation/trace/ring-buffer-design.rst): pages with a time and a
 * length, and in each a chain of records whose times are differences to the one before. Text of the same would be three times
 * as long, and a guest under emulation needs longer to format it than a whole cell takes.
 */

export interface TraceRecord {
  /** On the guest's monotonic clock, in nanoseconds. */
  readonly guestNs: number;
  /** Which event: `ID:` of its format. */
  readonly id: number;
  readonly pid: number;
  /** The whole record, from `common_type` on, as its format counts. */
  readonly data: Buffer;
}

export interface TraceRing {
  readonly records: readonly TraceRecord[];
  /** Records were overwritten before they were read. */
  readonly lost: boolean;
  /** What could not be read, and why; undefined if there was no such thing. */
  readonly damage: string | undefined;
}

export const TRACE_PAGE = 4096;
const HEADER = 16;
/** Upper bits of a page's length (kernel/trace/ring_buffer.c, RB_MISSED_EVENTS): records are missing before this page. */
const MISSED = 0x8000_0000;
const LENGTH = 0xf_ffff;

const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;
/** A difference has 27 bits; what extends it counts in units of the next. */
const EXTEND = 2 ** 27;

/** Bytes that are common to every record: type, flags, preemption count, pid. */
const COMMON = 8;

/** Reads one page's records into `records`; returns what is wrong with it. */
const readPage = (page: Buffer, records: TraceRecord[]): string | undefined => {
  let guestNs = Number(page.readBigUInt64LE(0));
  const end = HEADER + (page.readUInt32LE(8) & LENGTH);
  if (end > page.length) return `a page of ${page.length} bytes says that it holds ${end}`;
  for (let at = HEADER; at < end; ) {
    if (at + 8 > end) return "a record begins where its page ends";
    const head = page.readUInt32LE(at);
    const kind = head & 31;
    const delta = head >>> 5;
    const word = page.readUInt32LE(at + 4);
    if (kind === PADDING) {
      // Without a time it fills the rest of the page.
      if (delta === 0) return undefined;
      at += word + 4;
      continue;
    }
    if (kind === TIME_EXTEND || kind === TIME_STAMP) {
      guestNs = (kind === TIME_EXTEND ? guestNs : 0) + word * EXTEND + delta;
      at += 8;
      continue;
    }
    guestNs += delta;
    const from = kind === 0 ? at + 8 : at + 4;
    const to = at + 4 + (kind === 0 ? word : kind * 4);
    if (to > end || to - from < COMMON) return `a record of ${to - from} bytes in a page that ends after ${end - from}`;
    const data = page.subarray(from, to);
    records.push({ guestNs, id: data.readUInt16LE(0), pid: data.readInt32LE(4), data });
    at = to;
  }
  return undefined;
};

/** Reads what each CPU's `trace_pipe_raw` gave, and puts the records in the order of time. */
export const readTraceRing = (cpus: readonly Buffer[]): TraceRing => {
  const records: TraceRecord[] = [];
  let lost = false;
  let damage: string | undefined;
  for (const ring of cpus) {
    for (let at = 0; at < ring.length; at += TRACE_PAGE) {
      const page = ring.subarray(at, at + TRACE_PAGE);
      if (page.length < HEADER) {
        damage ??= `the ring ends with ${page.length} bytes of a page`;
        break;
      }
      lost ||= (page.readUInt32LE(8) & MISSED) !== 0;
      damage ??= readPage(page, records);
    }
  }
  return { records: cpus.length === 1 ? records : records.toSorted((a, b) => a.guestNs - b.guestNs), lost, damage };
};
