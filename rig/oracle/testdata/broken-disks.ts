/**
 * Disks that break their promise, each in one way, on sectors of their own beside a legal history. What they do is
 * observable, and each says which class it must be given.
 */
import type { Rng } from "../../core/rng.ts";
import type { HistoryEvent } from "../../history/event.ts";
import type { Extent } from "../../history/extent.ts";
import type { IntegrityClass } from "../violation.ts";

/** Where the broken sectors lie, beyond those of legal histories. */
const AT = 100;
const END = 90;

/** Tells what happens to the broken sectors, on numbers that no legal history uses. */
export class Tale {
  readonly events: HistoryEvent[] = [];
  readonly sectors: number;
  readonly #rng: Rng;
  readonly #device: number;
  #op: number;
  #now = 0;

  constructor(rng: Rng, firstOp: number, device: number) {
    this.#rng = rng;
    this.#op = firstOp;
    this.#device = device;
    this.sectors = rng.integer(1, 8);
  }

  /** Lets some time go by, so that what follows is certainly later. */
  #later(): number {
    this.#now += 1 + this.#rng.integer(1, 900);
    return this.#now * 1e6;
  }

  does(
    action: "write" | "flush" | "zeroes",
    more: { state?: "ok" | "fail" | "unanswered"; fua?: boolean; device?: number } = {},
  ): number {
    const op = this.#op++;
    const { state = "ok", fua = false, device = this.#device } = more;
    const [sector, sectors] = action === "flush" ? [0, 0] : [AT, this.sectors];
    this.events.push({ t: this.#later(), kind: "invoke", op, action, via: "initiator", device, sector, sectors, fua });
    if (state === "ok") this.events.push({ t: this.#later(), kind: "ok", op });
    if (state === "fail") this.events.push({ t: this.#later(), kind: "fail", op, error: "Input/output error" });
    return op;
  }

  finds(content: Extent[], more: { backing?: boolean; device?: number } = {}): number {
    const op = this.#op++;
    const { backing = false, device = this.#device } = more;
    const via = backing ? "backing" : "initiator";
    const sectors = this.sectors;
    const t = this.#later();
    this.events.push({ t, kind: "invoke", op, action: "read", via, device, sector: AT, sectors });
    this.events.push({ t: this.#later(), kind: "ok", op, content });
    return op;
  }

  /** What stands there at the end, read through both ends. */
  ends(content: Extent[]): void {
    this.#now = END * 1000;
    this.finds(content);
    this.finds(content, { backing: true });
  }

  cutsPower(): void {
    this.events.push({ t: this.#later(), kind: "power-cut", node: "target", edge: "begin" });
    this.events.push({ t: this.#later(), kind: "power-cut", node: "target", edge: "end" });
  }

  /** The whole of a write in its place. */
  data(op: number): Extent[] {
    return [{ is: "write", at: AT, n: this.sectors, op, i: 0 }];
  }

  zeros(): Extent[] {
    return [{ is: "zero", at: AT, n: this.sectors }];
  }

  /** One sector of something else amid a write's data. */
  amid(op: number, make: (at: number) => Extent): Extent[] {
    const place = this.#rng.integer(0, this.sectors - 1);
    const after = this.sectors - place - 1;
    const before: Extent[] = place === 0 ? [] : [{ is: "write", at: AT, n: place, op, i: 0 }];
    const behind: Extent[] = after === 0 ? [] : [{ is: "write", at: AT + place + 1, n: after, op, i: place + 1 }];
    return [...before, make(AT + place), ...behind];
  }
}

export interface BrokenDisk {
  readonly name: string;
  readonly class: IntegrityClass;
  /** Whether it needs a power cut of its own and a volatile cache. */
  readonly cut?: boolean;
  /** Another device of the same disk, where there is one. */
  breaks(tale: Tale, other: number): void;
}

export const BROKEN_DISKS: readonly BrokenDisk[] = [
  {
    name: "a write of a dead session comes over newer data that had been read",
    class: "stale",
    breaks(tale, device) {
      const [old, newer] = [tale.does("write"), tale.does("write", { device })];
      tale.finds(tale.data(newer));
      tale.ends(tale.data(old));
    },
  },
  {
    name: "two newer writes are gone at once",
    class: "stale",
    breaks(tale) {
      const old = tale.does("write");
      tale.does("write");
      tale.does("write");
      tale.ends(tale.data(old));
    },
  },
  {
    name: "a failed write comes, goes, and comes again",
    class: "stale",
    breaks(tale) {
      const old = tale.does("write", { state: "fail" });
      tale.finds(tale.data(old));
      const newer = tale.does("write");
      tale.finds(tale.data(newer), { backing: true });
      tale.ends(tale.data(old));
    },
  },
  {
    name: "a failed write takes effect after its error",
    class: "stale",
    breaks(tale) {
      const [old, failed] = [tale.does("write"), tale.does("write", { state: "fail" })];
      tale.finds(tale.data(old));
      tale.ends(tale.data(failed));
    },
  },
  {
    name: "one path shows what another had replaced",
    class: "stale",
    breaks(tale, device) {
      const [old, newer] = [tale.does("write"), tale.does("write")];
      tale.finds(tale.data(newer));
      tale.finds(tale.data(old), { device });
      tale.ends(tale.data(newer));
    },
  },
  {
    name: "an acknowledged write was never executed",
    class: "lost",
    breaks(tale) {
      const old = tale.does("write");
      tale.does("write");
      tale.ends(tale.data(old));
    },
  },
  {
    name: "the first write was never executed",
    class: "lost",
    breaks(tale) {
      tale.does("write");
      tale.ends(tale.zeros());
    },
  },
  {
    name: "part of a write was never executed",
    class: "lost",
    breaks(tale) {
      const [old, newer] = [tale.does("write"), tale.does("write")];
      tale.ends(tale.amid(newer, at => ({ is: "write", at, n: 1, op: old, i: at - AT })));
    },
  },
  {
    name: "a write-zeroes was never executed",
    class: "lost",
    breaks(tale) {
      const old = tale.does("write");
      tale.does("zeroes");
      tale.ends(tale.data(old));
    },
  },
  {
    name: "a sector is made of two",
    class: "torn",
    breaks(tale) {
      const op = tale.does("write");
      tale.ends(tale.amid(op, at => ({ is: "damaged", at, n: 1, op, i: at - AT, badFrom: 200, head: "00" })));
    },
  },
  {
    name: "a sector went to a wrong address",
    class: "misdirected",
    breaks(tale) {
      const op = tale.does("write");
      tale.ends(tale.amid(op, at => ({ is: "elsewhere", at, n: 1, op, i: 0, address: at + 64 })));
    },
  },
  {
    name: "memory leaked onto the disk",
    class: "foreign",
    breaks(tale) {
      const op = tale.does("write");
      tale.ends(tale.amid(op, at => ({ is: "foreign", at, n: 1, head: "6b".repeat(64) })));
    },
  },
  {
    name: "a read knows what will be written",
    class: "early",
    breaks(tale) {
      const read = tale.finds(tale.zeros());
      const op = tale.does("write");
      const answer = tale.events.findIndex(event => event.kind === "ok" && event.op === read);
      tale.events[answer] = { ...(tale.events[answer] as HistoryEvent & { kind: "ok" }), content: tale.data(op) };
      tale.ends(tale.data(op));
    },
  },
  {
    name: "a flush was acknowledged and not done",
    class: "lost",
    cut: true,
    breaks(tale) {
      const old = tale.does("write");
      tale.does("write");
      tale.does("flush");
      tale.cutsPower();
      tale.ends(tale.data(old));
    },
  },
  {
    name: "a flush wrote the older data last, although the newer had been read",
    class: "lost",
    cut: true,
    breaks(tale) {
      const [old, newer] = [tale.does("write"), tale.does("write")];
      tale.finds(tale.data(newer));
      tale.does("flush");
      tale.does("write");
      tale.cutsPower();
      tale.ends(tale.data(old));
    },
  },
  {
    name: "FUA was ignored",
    class: "lost",
    cut: true,
    breaks(tale) {
      tale.does("write", { fua: true });
      tale.cutsPower();
      tale.ends(tale.zeros());
    },
  },
  {
    name: "what the power cut had taken comes back",
    class: "stale",
    cut: true,
    breaks(tale) {
      const [old, newer] = [tale.does("write"), tale.does("write")];
      tale.cutsPower();
      tale.finds(tale.data(old));
      tale.ends(tale.data(newer));
    },
  },
  {
    name: "a write after the power cut is replaced by one before it",
    class: "stale",
    cut: true,
    breaks(tale) {
      const old = tale.does("write");
      tale.cutsPower();
      const newer = tale.does("write");
      tale.finds(tale.data(newer), { backing: true });
      tale.ends(tale.data(old));
    },
  },
];
