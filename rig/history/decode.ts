/**
 * Understands a history's compact lines (see compact.ts) and puts what they say where it belongs: operations right into their
 * table, without an object in between, and commands among the other events.
 *
 * Two kinds of wrong are kept apart. A line that cannot be understood, or counts from what is not known, takes the rest of its
 * section with it: whoever guessed there would put operations at addresses and times that were never seen. A line that can
 * be understood but contradicts the history is left out alone.
 */
import { PATH_NAMES } from "../core/names.ts";
import { type HistoryCollector, refusal } from "./collect.ts";
import { given, LINE, VIA_BACKING, WITH_FUA } from "./compact.ts";
import { addPlain, extentsOf, isPlain, plainRows } from "./content.ts";
import type { DamageList } from "./damage.ts";
import type { EventOf } from "./event.ts";
import { ACTION, ACTIONS, BACKING, FUA, STATE } from "./operations.ts";

const INVOKE_FIELDS = 4;
const COMMAND_FIELDS = 10;

const MOMENT = "a moment of the history, told from a clock line before";
const COMPACT = "a compact line";
const CONTENT = "content that the read covers";

/** A text of the section, and its number as a label in the table once it was one. */
interface Text {
  readonly text: string;
  labelId?: number;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

export class Decoder {
  readonly #collector: HistoryCollector;
  readonly #damage: DamageList;
  /** Whether it is known what compact lines count from. */
  #open = false;
  #t = 0;
  #nextOp = 0;
  /** Text number 1 is the first. */
  readonly #texts: Text[] = [];
  /** The last invocation's fields, by action, each action's after the other's. */
  readonly #invoked = new Float64Array(ACTIONS.length * INVOKE_FIELDS);
  readonly #command = new Float64Array(COMMAND_FIELDS);

  constructor(collector: HistoryCollector, damage: DamageList) {
    this.#collector = collector;
    this.#damage = damage;
  }

  /** Takes note of a line that may have been a compact one: what follows cannot be understood without it. */
  lose(line: number, problem: string): void {
    if (!this.#open && this.#damage.hasLoss) this.#damage.leaveOut(line);
    else this.#damage.addLoss(line, problem);
    this.#open = false;
  }

  /** Takes a line of `count` whole numbers, which stand in the beginning of `fields`. */
  take(fields: readonly number[], count: number, line: number): void {
    const missed = this.#understand(fields, count, line);
    if (missed !== undefined) this.lose(line, `expected ${missed}`);
  }

  /** Takes any other line that is an array. */
  takeMixed(values: readonly unknown[], line: number): void {
    if (values.every(isWhole)) {
      this.take(values, values.length, line);
      return;
    }
    const missed = this.#understandMixed(values, line);
    if (missed !== undefined) this.lose(line, `expected ${missed}`);
  }

  /** Says what was expected, where the line cannot be understood. */
  #understand(fields: readonly number[], count: number, line: number): string | undefined {
    const [code = -1, second = 0, third = 0] = fields;
    if (code === LINE.clock) {
      if (count !== 3 || second < 0 || third < 0) return "a time and an operation's number in a clock line";
      this.#begin(second, third);
      return undefined;
    }
    if (count < 2) return COMPACT;
    if (!this.#moves(second)) return MOMENT;
    if (code === LINE.ok && count >= 3) {
      this.#ok(this.#nextOp - third, fields, count, line);
      return undefined;
    }
    if (code === LINE.fail && count === 4) return this.#fail(this.#nextOp - third, fields[3] ?? 0, line);
    if (code === LINE.command && count >= 3 && count <= 3 + COMMAND_FIELDS) return this.#seen(fields, count, line);
    if (count > 2 + INVOKE_FIELDS) return COMPACT;
    return this.#invoke(fields, count, line);
  }

  #understandMixed(values: readonly unknown[], line: number): string | undefined {
    const [code, second, third, ...rest] = values;
    if (!this.#open) return MOMENT;
    if (code === LINE.text && second === this.#texts.length + 1 && typeof third === "string" && rest.length === 0) {
      this.#texts.push({ text: third });
      return undefined;
    }
    if (code !== LINE.ok || !isWhole(second) || !isWhole(third)) return COMPACT;
    if (!this.#moves(second)) return MOMENT;
    const { operations } = this.#collector;
    const op = this.#nextOp - third;
    const [sector, end] = this.#span(op);
    const content = this.#awaitsAnswer(op) ? extentsOf(rest, sector, end) : [];
    if (content === undefined) this.#damage.add(line, `expected ${CONTENT}`);
    else if (this.#answer(op, STATE.ok, content.length, line))
      content.forEach(extent => operations.contents.add(extent));
    return undefined;
  }

  #begin(t: number, op: number): void {
    this.#open = true;
    this.#t = t;
    this.#nextOp = op;
    this.#texts.length = 0;
    this.#invoked.fill(0);
    this.#command.fill(0);
  }

  /** Lets `dt` ns pass. False where nobody knows since when, or the moment is absurd. */
  #moves(dt: number): boolean {
    this.#t += dt;
    return this.#open && this.#t >= 0 && this.#t <= Number.MAX_SAFE_INTEGER;
  }

  #isKnown(op: number): boolean {
    return (this.#collector.operations.action[op - 1] ?? ACTION.none) !== ACTION.none;
  }

  /** The operation's first sector, and the one after its last. */
  #span(op: number): readonly [number, number] {
    const { operations } = this.#collector;
    const sector = operations.sector[op - 1] ?? 0;
    return [sector, sector + (operations.sectors[op - 1] ?? 0)];
  }

  /** Whether the answer was taken; what follows then are the rows of its content. */
  #answer(op: number, state: number, rows: number, line: number): boolean {
    const { operations } = this.#collector;
    const problem = operations.answer(op, state, this.#t, line, operations.contents.count, rows);
    if (problem === undefined) return true;
    if (this.#damage.hasLoss && !this.#isKnown(op)) this.#damage.orphan();
    else this.#damage.add(line, problem);
    return false;
  }

  #awaitsAnswer(op: number): boolean {
    return this.#isKnown(op) && this.#collector.operations.state[op - 1] === STATE.unanswered;
  }

  #ok(op: number, fields: readonly number[], count: number, line: number): void {
    if (count === 3) {
      this.#answer(op, STATE.ok, 0, line);
      return;
    }
    const [sector, end] = this.#span(op);
    // Of an answer that contradicts the history, that it does is told.
    if (this.#awaitsAnswer(op) && !isPlain(fields, 3, count, sector, end))
      this.#damage.add(line, `expected ${CONTENT}`);
    else if (this.#answer(op, STATE.ok, plainRows(count - 3), line))
      addPlain(this.#collector.operations.contents, fields, 3, count, sector, end);
  }

  #fail(op: number, textId: number, line: number): string | undefined {
    const text = this.#texts[textId - 1];
    if (text === undefined) return "the number of a text that was told before";
    if (this.#answer(op, STATE.fail, 0, line)) this.#collector.operations.errors.set(op - 1, text.text);
    return undefined;
  }

  #invoke(fields: readonly number[], count: number, line: number): string | undefined {
    const code = fields[0] ?? 0;
    const action = code & 7;
    if (code < 0 || code >= 2 * VIA_BACKING || action === ACTION.none || action >= ACTIONS.length) return COMPACT;
    const last = this.#invoked;
    const base = action * INVOKE_FIELDS;
    for (let index = 2; index < count; index++) {
      const field = fields[index] ?? 0;
      if (field < 0) return "an address, a size, a label and a device";
      last[base + index - 2] = field;
    }
    const label = this.#labelId(last[base + 2] ?? 0);
    if (label === undefined) return "the number of a text that was told before";
    const op = this.#nextOp++;
    const flags = ((code & WITH_FUA) === 0 ? 0 : FUA) | ((code & VIA_BACKING) === 0 ? 0 : BACKING);
    const { operations } = this.#collector;
    const [sector = 0, sectors = 0, device = 0] = [last[base], last[base + 1], last[base + 3]];
    if (!operations.invoke(op, action, flags, device, sector, sectors, label, this.#t, line))
      this.#damage.add(line, refusal(op));
    return undefined;
  }

  /** The number in the table of the label that is a text of this number; undefined where there is none. */
  #labelId(textId: number): number | undefined {
    if (textId === 0) return 0;
    const text = this.#texts[textId - 1];
    if (text !== undefined) text.labelId ??= this.#collector.operations.labelId(text.text);
    return text?.labelId;
  }

  #seen(fields: readonly number[], count: number, line: number): string | undefined {
    const last = this.#command;
    for (let index = 3; index < count; index++) last[index - 3] = fields[index] ?? 0;
    const event = commandOf(this.#t, fields[2] ?? 0, last, id => this.#texts[id - 1]?.text);
    if (event === undefined) return "a command that the target saw";
    const problem = this.#collector.take(event, line);
    if (problem !== undefined) this.#damage.add(line, problem);
    return undefined;
  }
}

const commandOf = (
  t: number,
  what: number,
  fields: Float64Array,
  textOf: (id: number) => string | undefined,
): EventOf<"command"> | undefined => {
  const [sector = 0, tag = 0, sn = 0, received = 0, done = 0, sectors = 0, session = 0, path = 0, status = 0, lun = 0] =
    fields;
  const action = what & 7;
  const [receivedNs, doneNs, name] = [given(received), given(done), textOf(session)];
  const wrong =
    what < 0 ||
    what >= 2 * WITH_FUA ||
    action >= ACTIONS.length ||
    Math.min(sector, tag, sn, sectors, status, lun, path) < 0 ||
    (session !== 0 && name === undefined) ||
    path > PATH_NAMES.length ||
    t - (receivedNs ?? 0) < 0 ||
    t + (doneNs ?? 0) < 0;
  if (wrong) return undefined;
  const [cmdSN, scsiStatus, pathName] = [given(sn), given(status), PATH_NAMES[path - 1]];
  const known = ACTIONS[action];
  return {
    t,
    kind: "command",
    action: known === undefined || known === "none" ? "other" : known,
    lun,
    sector,
    sectors,
    ...((what & WITH_FUA) === 0 ? {} : { fua: true }),
    ...(pathName === undefined ? {} : { path: pathName }),
    ...(name === undefined ? {} : { session: name }),
    tag,
    ...(cmdSN === undefined ? {} : { cmdSN }),
    ...(receivedNs === undefined ? {} : { receivedNs: t - receivedNs }),
    ...(doneNs === undefined ? {} : { doneNs: t + doneNs }),
    ...(scsiStatus === undefined ? {} : { status: scsiStatus }),
  };
};
