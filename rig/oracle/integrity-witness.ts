/**
 * What the second witness can add: which SCSI commands the target executed on the sector, when, and over which session.
 * The account of the ledger proves that something is wrong; the target's own account says which command did it, or that
 * none did, which points behind the target, at its backing device.
 *
 * A command belongs to an operation if it covers its sector and was executed in its life. That is not always one: a write
 * may have been sent over both paths, and the block layer may have merged several into one command. So a command is named
 * as *the* one only where no other write's life holds it.
 */
import type { EventOf, History } from "../history/event.ts";
import type { OperationTable } from "../history/operations.ts";
import { eventsOf, type FaultSpan, type Located, seconds } from "../history/view.ts";
import type { BadCommand } from "./finding.ts";
import { changesData } from "./segments.ts";
import type { OrderProof, Violation } from "./violation.ts";
import { capital, faultRelation, operationWords, sectorWords } from "./words.ts";

type Command = Located<EventOf<"command">>;

/** Commands told of one finding. */
const TOLD = 8;

export interface Testimony {
  readonly text: string;
  /** Those that wrote what is wrong, or may have, in the order of their execution. */
  readonly commands: BadCommand[];
  readonly lines: number[];
}

const SILENT: Testimony = { text: "", commands: [], lines: [] };

const seenOf = ({ event }: Command): BadCommand => ({
  ...(event.session === undefined ? {} : { session: event.session }),
  ...(event.path === undefined ? {} : { path: event.path }),
  tag: event.tag,
  ...(event.cmdSN === undefined ? {} : { cmdSN: event.cmdSN }),
  sector: event.sector,
  sectors: event.sectors,
  executedNs: event.t,
});

const NAMES = {
  write: "WRITE",
  zeroes: "WRITE SAME",
  discard: "UNMAP",
  read: "READ",
  flush: "FLUSH",
  other: "command",
};

/** "WRITE of sectors 8 to 15, CmdSN 57, tag 0x1000003a, of path a's session a#1". */
const commandWords = ({ event }: Command): string => {
  const number = event.cmdSN === undefined ? "" : ` CmdSN ${event.cmdSN},`;
  const session = event.session === undefined ? "" : ` ${event.session}`;
  const whose =
    event.path === undefined
      ? event.session === undefined
        ? "of a session that is not known"
        : `of session${session}`
      : `of path ${event.path}'s session${session}`;
  return `${NAMES[event.action]} of ${sectorWords(event.sector, event.sectors).toLowerCase()},${number} tag 0x${event.tag.toString(16)}, ${whose}`;
};

interface Life {
  readonly startNs: number;
  readonly endNs: number;
}

const isWithin = ({ event }: Command, lives: readonly Life[]): boolean =>
  lives.some(({ startNs, endNs }) => event.t >= startNs && event.t <= endNs);

export class Witness {
  readonly #table: OperationTable;
  readonly #history: History;
  readonly #faults: readonly FaultSpan[];
  readonly #word: EventOf<"witness"> | undefined;

  constructor(history: History, faults: readonly FaultSpan[]) {
    this.#history = history;
    this.#table = history.operations;
    this.#faults = faults;
    this.#word = eventsOf(history, "witness").at(-1)?.event;
  }

  /** What it says of a violation; nothing where there was no witness. */
  of(violation: Violation): Testimony {
    const word = this.#word;
    if (word === undefined) return SILENT;
    if (word.by === "nothing") return { ...SILENT, text: `Nobody saw the target's commands: ${word.text}` };
    const { proof } = violation;
    switch (proof.kind) {
      case "stale":
      case "late":
      case "returned":
        return this.#culprit(violation, proof);
      case "lost":
        return this.#missing(violation, proof);
      case "torn":
      case "misdirected":
      case "foreign":
        return this.#last(violation);
      case "early":
      case "unreadable":
        return SILENT;
    }
  }

  /** Commands that changed the violation's first sector between two moments, in the order of their execution. */
  #changes({ disk, sector }: Violation, fromNs: number, toNs: number): Command[] {
    const skewNs = this.#word?.skewNs ?? 0;
    const found: Command[] = [];
    this.#history.events.forEach((event, index) => {
      if (event.kind !== "command" || event.t < fromNs - skewNs || event.t > toNs + skewNs) return;
      if (event.action !== "write" && event.action !== "zeroes" && event.action !== "discard") return;
      if (sector < event.sector || sector >= event.sector + event.sectors) return;
      if (disk.lun !== undefined && disk.lun !== event.lun) return;
      found.push({ event, line: this.#history.lines[index] ?? 0 });
    });
    return found.sort((a, b) => a.event.t - b.event.t);
  }

  #span(op: number): Life {
    return { startNs: this.#table.invokeNs[op - 1] ?? 0, endNs: this.#table.doneNs[op - 1] ?? 0 };
  }

  /** The lives of the writes of the violation's first sector, but for one, as wide as the witness's clock may be wrong. */
  #lives({ disk, sector }: Violation, but: number | undefined): Life[] {
    const { count, action, device, sector: first, sectors } = this.#table;
    const skewNs = this.#word?.skewNs ?? 0;
    const found: Life[] = [];
    for (let row = 0; row < count; row++) {
      const at = first[row] ?? 0;
      if (row + 1 === but || sector < at || sector >= at + (sectors[row] ?? 0)) continue;
      if (!changesData(action[row]) || disk.devices[device[row] ?? 0] === 0) continue;
      const { startNs, endNs } = this.#span(row + 1);
      found.push({ startNs: startNs - skewNs, endNs: endNs + skewNs });
    }
    return found;
  }

  /** @param blamed those that wrote what is wrong. */
  #told(text: string, commands: readonly Command[], blamed: readonly Command[] = []): Testimony {
    const lines = commands.slice(-TOLD).map(({ line }) => line);
    return { text, commands: blamed.slice(-TOLD).map(seenOf), lines };
  }

  #caveat(): string {
    const { by, whole = false, skewNs = 0 } = this.#word ?? {};
    const kind = by === "capture" ? `That is from the packet capture, within ${seconds(skewNs)}.` : "";
    return [kind, whole ? "" : "The target's account is not whole, so there may have been others."]
      .filter(text => text !== "")
      .map(text => ` ${text}`)
      .join("");
  }

  /** Which command put the older data there: after the newer data took effect, before the read. */
  #culprit(violation: Violation, { rival, found }: OrderProof): Testimony {
    const read = this.#span(violation.read);
    const life = rival === undefined ? { startNs: 0, endNs: 0 } : this.#span(rival);
    const all = this.#changes(violation, life.startNs, Math.min(read.endNs, Number.MAX_SAFE_INTEGER));
    const others = this.#lives(violation, found);
    const stray = all.filter(command => !isWithin(command, others));
    // The rival has a command of its own; a second one within its life is a retry of it, or the culprit.
    const suspects = stray.length > 0 ? stray : all.slice(rival === undefined ? 0 : 1);
    const culprit = suspects.at(-1);
    if (culprit === undefined) {
      const why =
        this.#word?.whole === true
          ? "that points behind the target, at its backing device."
          : "but its account is not whole, so it cannot tell.";
      return this.#told(`No other command of the target explains the older data; ${why}`, all);
    }
    const { t } = culprit.event;
    const fault = faultRelation(this.#faults, t).words;
    const acknowledged =
      rival !== undefined && t > life.endNs
        ? `${seconds(t - life.endNs)} after ${operationWords(this.#table.get(rival))} was acknowledged`
        : undefined;
    const when = [fault, acknowledged].filter(words => words !== undefined).join(" and ");
    const doubt =
      stray.length > 0 ? "" : " It was executed while another write was under way, so it may be that one's.";
    const text = `The target executed a ${commandWords(culprit)}, at ${seconds(t)}${when === "" ? "" : `, ${when}`}.${doubt}${this.#caveat()}`;
    return this.#told(text, all, suspects);
  }

  /** Whether the target executed the write that is missing. */
  #missing(violation: Violation, { rival }: OrderProof): Testimony {
    if (rival === undefined) return SILENT;
    const { startNs, endNs } = this.#span(rival);
    const own = this.#changes(violation, startNs, endNs);
    const others = this.#lives(violation, rival);
    const sure = own.filter(command => !isWithin(command, others));
    const last = sure.at(-1) ?? own.at(-1);
    const name = operationWords(this.#table.get(rival));
    if (last === undefined) {
      const text =
        this.#word?.whole === true
          ? `The target executed no command for ${name} between its invocation and its acknowledgement.`
          : `The target's account holds no command for ${name}, but it is not whole.`;
      return this.#told(text, own);
    }
    const status = last.event.status === undefined ? "" : ` and completed it with status ${last.event.status}`;
    const executed = `executed a ${commandWords(last)}, at ${seconds(last.event.t)}${status}`;
    if (sure.length === 0) {
      const text = `${capital(name)} may have reached the target: it ${executed}, but another write was under way then, so it may be that one's.${this.#caveat()}`;
      return this.#told(text, own);
    }
    const where =
      violation.proof.kind === "lost" && violation.proof.cut !== undefined
        ? ""
        : " So it was lost behind the target, or another command came over it.";
    const text = `${capital(name)} did reach the target: it ${executed}.${where}${this.#caveat()}`;
    return this.#told(text, own);
  }

  /** What the target last executed on the sector before the read. */
  #last(violation: Violation): Testimony {
    const all = this.#changes(violation, 0, Math.min(this.#span(violation.read).endNs, Number.MAX_SAFE_INTEGER));
    const last = all.at(-1);
    if (last === undefined) return this.#told("The target's account holds no command that changed this sector.", []);
    const text = `The last command with which the target had changed it was a ${commandWords(last)}, at ${seconds(last.event.t)}.${this.#caveat()}`;
    return this.#told(text, all, [last]);
  }
}
