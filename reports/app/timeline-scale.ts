/** Where things of a timeline go: heights of lanes, ticks of the axis, and how much text fits. Plain arithmetic. */
import type { Timeline } from "./lanes.ts";
import type { Bar, Lane } from "./spans.ts";

export const ROW = 17;
export const AXIS = 26;
export const GROUP_GAP = 9;
const THIN_LANE_MAX = 50;
const NOTE_HEIGHT = 30;
const MIN_BAR = 1.6;
const CHAR = 5.7;
const MARK_GAP = 17;

export type View = readonly [from: number, to: number];

export interface Placed {
  readonly lane: Lane;
  readonly group: string;
  /** The group's first lane, which carries its title. */
  readonly first: boolean;
  readonly y: number;
  readonly height: number;
  readonly rowHeight: number;
}

export class Scale {
  readonly from: number;
  readonly to: number;
  readonly width: number;
  /** The room for the labels. */
  readonly gutter: number;
  readonly #pixelsASecond: number;

  constructor([from, to]: View, width: number) {
    this.from = from;
    this.to = to;
    this.width = width;
    this.gutter = width < 760 ? 150 : 178;
    this.#pixelsASecond = (width - this.gutter - 8) / (to - from);
  }

  x(at: number): number {
    return this.gutter + (at - this.from) * this.#pixelsASecond;
  }

  timeAt(x: number): number {
    return this.from + (x - this.gutter) / this.#pixelsASecond;
  }

  shows(bar: Bar): boolean {
    return bar.to >= this.from && bar.from <= this.to;
  }

  /** Where a bar is drawn, at least so wide that it can be seen and hit. */
  extent(bar: Bar): { left: number; wide: number } {
    const left = Math.max(this.x(bar.from), this.gutter - 2);
    return { left, wide: Math.max(MIN_BAR, Math.min(this.x(bar.to), this.width) - left) };
  }
}

export const barTop = (placed: Placed, bar: Bar): number => placed.y + 2 + bar.row * placed.rowHeight;

/** Lanes of operations are as high as they must be, and one line high while none of them is in view. */
const rowHeightOf = (lane: Lane, shows: boolean): number => {
  if (lane.look !== "thin") return ROW;
  if (!shows) return ROW / lane.rows;
  return lane.rows === 1 ? ROW - 7 : Math.min(5, THIN_LANE_MAX / lane.rows);
};

export const place = (model: Timeline, scale: Scale): { lanes: readonly Placed[]; height: number } => {
  const lanes: Placed[] = [];
  let y = AXIS;
  for (const group of model.groups) {
    y += GROUP_GAP;
    group.lanes.forEach((lane, i) => {
      const rowHeight = rowHeightOf(
        lane,
        lane.bars.some(bar => scale.shows(bar)),
      );
      const height = Math.max(ROW, rowHeight * lane.rows, lane.note === undefined ? 0 : NOTE_HEIGHT) + 4;
      lanes.push({ lane, group: group.title, first: i === 0, y, height, rowHeight });
      y += height;
    });
  }
  return { lanes, height: y + 6 };
};

/** A round step that gives about one tick every seventy pixels or more. */
const tickStep = (range: number, width: number): number => {
  const rough = range / Math.max(2, width / 70);
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find(f => f * power >= rough) ?? 10) * power;
};

export const ticksOf = (scale: Scale): { at: number; text: string }[] => {
  const step = tickStep(scale.to - scale.from, scale.width - scale.gutter);
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  const first = Math.ceil(scale.from / step);
  const count = Math.floor(scale.to / step) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => {
    const at = (first + i) * step;
    return { at, text: `${at.toFixed(digits)} s` };
  });
};

/** The text, shortened to `width` pixels; empty where not even a few letters fit. */
export const fit = (text: string, width: number): string => {
  const room = Math.floor((width - 8) / CHAR);
  if (text.length <= room) return text;
  return room < 3 ? "" : `${text.slice(0, room - 1)}…`;
};

/** Moments that are close together are drawn side by side; their lines stay where they are. */
export const markPlaces = (bars: readonly Bar[], scale: Scale): { readonly bar: Bar; readonly x: number }[] => {
  let last = Number.NEGATIVE_INFINITY;
  return bars
    .toSorted((a, b) => a.from - b.from)
    .map(bar => {
      last = Math.max(scale.x(bar.from), bar.text === "" ? 0 : last + MARK_GAP);
      return { bar, x: last };
    });
};
