/** What stands around a timeline: its buttons, the key of its colours, and the note beside what is pointed at. */
import { OUTCOME_WORDS } from "./operations.ts";
import type { Bar } from "./spans.ts";
import { formatMs, formatSeconds } from "./units.ts";

const timesOf = (bar: Bar): string => {
  if (bar.from === bar.to) return `at ${formatSeconds(bar.from)}`;
  const lasted = `${formatMs((bar.to - bar.from) * 1000)}${bar.open ? " or more" : ""}`;
  return `${formatSeconds(bar.from)} to ${bar.open ? "the end" : formatSeconds(bar.to)} · ${lasted}`;
};

const TONES = (["ok", "fail", "unanswered"] as const).map(outcome => [outcome, OUTCOME_WORDS[outcome]] as const);
const COMMAND_TONES = [
  ["executed", "executed"],
  ["culprit", "named by a finding"],
] as const;

const Key = ({ commands }: { readonly commands: boolean }) => (
  <span class="key">
    {[...TONES, ...(commands ? COMMAND_TONES : [])].map(([tone, words]) => (
      <span key={tone}>
        <i class={`swatch op-${tone}`} />
        {words}
      </span>
    ))}
  </span>
);

interface ToolbarProps {
  readonly focused: boolean;
  readonly whole: boolean;
  /** Whether there are lanes of what the target executed. */
  readonly commands: boolean;
  readonly onFocused: () => void;
  readonly onWhole: () => void;
  readonly onZoom: (factor: number) => void;
  readonly onPan: (part: number) => void;
}

export const Toolbar = ({ focused, whole, commands, onFocused, onWhole, onZoom, onPan }: ToolbarProps) => (
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
    <Key commands={commands} />
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
