/** What stands around a timeline: its buttons, the key of its colours, and the note beside what is pointed at. */
import type { Bar } from "./spans.ts";
import { formatMs, formatSeconds } from "./units.ts";

const timesOf = (bar: Bar): string => {
  if (bar.from === bar.to) return `at ${formatSeconds(bar.from)}`;
  const lasted = `${formatMs((bar.to - bar.from) * 1000)}${bar.open ? " or more" : ""}`;
  return `${formatSeconds(bar.from)} to ${bar.open ? "the end" : formatSeconds(bar.to)} · ${lasted}`;
};

const Key = () => (
  <span class="key">
    {(["ok", "fail", "unanswered"] as const).map(outcome => (
      <span key={outcome}>
        <i class={`swatch op-${outcome}`} />
        {outcome === "ok" ? "acknowledged" : outcome === "fail" ? "failed" : "unanswered"}
      </span>
    ))}
  </span>
);

interface ToolbarProps {
  readonly focused: boolean;
  readonly whole: boolean;
  readonly onFocused: () => void;
  readonly onWhole: () => void;
  readonly onZoom: (factor: number) => void;
  readonly onPan: (part: number) => void;
}

export const Toolbar = ({ focused, whole, onFocused, onWhole, onZoom, onPan }: ToolbarProps) => (
  <div class="toolbar">
    <button type="button" onClick={onFocused} aria-pressed={focused}>
      From the first fault
    </button>
    <button type="button" onClick={onWhole} aria-pressed={whole}>
      Whole cell
    </button>
    <button type="button" onClick={() => onZoom(0.5)} aria-label="Zoom in">
      +
    </button>
    <button type="button" onClick={() => onZoom(2)} aria-label="Zoom out">
      −
    </button>
    <button type="button" onClick={() => onPan(-0.3)} aria-label="Earlier">
      ‹
    </button>
    <button type="button" onClick={() => onPan(0.3)} aria-label="Later">
      ›
    </button>
    <span class="hint">Drag to zoom. Click for the line of the history.</span>
    <Key />
  </div>
);

export const Tip = ({
  bar,
  left,
  top,
  flip,
}: {
  readonly bar: Bar;
  readonly left: number;
  readonly top: number;
  readonly flip: boolean;
}) => (
  <div class={`tip${flip ? " left" : ""}`} role="status" style={{ left: `${String(left)}px`, top: `${String(top)}px` }}>
    <strong>{bar.detail}</strong>
    <span>
      {timesOf(bar)} · line {bar.line}
    </span>
  </div>
);
