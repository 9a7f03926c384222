/** Draws one lane: its label, and its bars as states, as thin operations or as moments. */
import type { Bar } from "./spans.ts";
import { barTop, fit, GROUP_GAP, markPlaces, type Placed, ROW, type Scale } from "./timeline-scale.ts";

interface Drawn {
  readonly placed: Placed;
  readonly scale: Scale;
  readonly shown: readonly Bar[];
  /** Prefix of the ids of the drawing's patterns. */
  readonly id: string;
}

/** All operations with one outcome are one shape: ten thousand of them cost as much as ten. Later ones lie on top. */
const Operations = ({ placed, scale, shown }: Drawn) => {
  const high = Math.max(0.6, placed.rowHeight - (placed.rowHeight > 3 ? 1 : placed.rowHeight > 1.2 ? 0.4 : 0));
  return (["executed", "ok", "fail", "unanswered", "culprit"] as const).map(outcome => {
    const d = shown
      .filter(bar => bar.tone === outcome)
      .map(bar => {
        const { left, wide } = scale.extent(bar);
        return `M${left.toFixed(1)} ${barTop(placed, bar).toFixed(2)}h${wide.toFixed(1)}v${high.toFixed(2)}h-${wide.toFixed(1)}z`;
      })
      .join("");
    return d === "" ? null : <path key={outcome} class={`op ${outcome}`} d={d} />;
  });
};

const State = ({ bar, placed, scale, id }: Drawn & { readonly bar: Bar }) => {
  const { left, wide } = scale.extent(bar);
  const words = fit(bar.text, Math.min(wide, scale.width - left));
  const box = { x: left, y: barTop(placed, bar), width: wide, height: ROW - 3 };
  return (
    <g class={`bar ${bar.tone}${bar.open ? " open" : ""}`}>
      <rect {...box} rx={2} />
      {bar.tone === "alarm" && <rect class="hatch" {...box} fill={`url(#${id}-hatch)`} />}
      {words !== "" && (
        <text x={left + 4} y={box.y + 11}>
          {words}
        </text>
      )}
    </g>
  );
};

const Marks = ({ placed, scale, shown, bottom }: Drawn & { readonly bottom: number }) =>
  markPlaces(shown, scale).map(({ bar, x }) => (
    <g key={bar.line} class="mark">
      <path
        d={`M${x.toFixed(1)} ${String(placed.y + 9)}L${scale.x(bar.from).toFixed(1)} ${String(placed.y + ROW + 3)}V${String(bottom)}`}
      />
      <circle cx={x} cy={placed.y + 9} r={bar.text === "" ? 3.5 : 7.5} />
      <text x={x} y={placed.y + 13}>
        {bar.text}
      </text>
    </g>
  ));

interface Props extends Omit<Drawn, "shown"> {
  readonly bottom: number;
  readonly onKey: (event: KeyboardEvent) => void;
  readonly onFocus: (first: Bar | undefined) => void;
  readonly onBlur: () => void;
}

export const TimelineLane = ({ placed, scale, id, bottom, onKey, onFocus, onBlur }: Props) => {
  const { lane, group, first, y, height } = placed;
  const shown = lane.bars.filter(bar => scale.shows(bar));
  const { gutter } = scale;
  const drawn = { placed, scale, shown, id };
  const room = gutter - 12 - (first ? group.length * 6 + 8 : 0);
  return (
    <g
      class="lane"
      tabIndex={0}
      role="group"
      aria-label={`${group}, ${lane.label}: ${String(lane.bars.length)} entries. Arrow keys walk through them.`}
      onKeyDown={onKey}
      onFocus={() => {
        onFocus(shown[0]);
      }}
      onBlur={onBlur}
    >
      {first && <line class="rule" x1={0} x2={scale.width} y1={y - GROUP_GAP / 2} y2={y - GROUP_GAP / 2} />}
      <rect class="stop" x={0} y={y} width={gutter - 6} height={height} rx={3} />
      {first && (
        <text class="group" x={4} y={y + 14}>
          {group}
        </text>
      )}
      <text class="label" x={gutter - 12} y={y + 14}>
        {fit(lane.label, room)}
      </text>
      {lane.note !== undefined && (
        <text class={`note ${lane.note.tone}`} x={gutter - 12} y={y + 27}>
          {fit(lane.note.text, gutter)}
        </text>
      )}
      <g clip-path={`url(#${id}-plot)`}>
        {lane.look === "thin" && <Operations {...drawn} />}
        {lane.look === "state" &&
          shown.map(bar => <State key={`${String(bar.line)} ${bar.tone}`} {...drawn} bar={bar} />)}
        {lane.look === "mark" && <Marks {...drawn} bottom={bottom} />}
      </g>
    </g>
  );
};
