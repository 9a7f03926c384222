/**
 * Draws a timeline: lanes under one axis in seconds since the cell began, faults shaded through all lanes. Dragging, the
 * buttons or + and - zoom; each lane is one stop of the Tab key and the arrow keys walk through it; Enter or a click
 * goes to the line of the history.
 */
import { useId, useMemo, useState } from "preact/hooks";
import { COMMANDS } from "./command-lanes.ts";
import type { Timeline as Model } from "./lanes.ts";
import type { Bar } from "./spans.ts";
import { TimelineLane } from "./timeline-lane.tsx";
import { Tip, Toolbar } from "./timeline-parts.tsx";
import { AXIS, barTop, markPlaces, place, ROW, Scale, ticksOf, type View } from "./timeline-scale.ts";
import { formatSeconds } from "./units.ts";
import { useWidth } from "./use-width.ts";

/** Narrower than this is a drag by accident. */
const MIN_DRAG = 6;
const MIN_SPAN_SECONDS = 0.0005;

interface Pointed {
  readonly lane: number;
  readonly bar: Bar;
}

interface Props {
  readonly model: Model;
  readonly onLine: (line: number) => void;
}

export const Timeline = ({ model, onLine }: Props) => {
  const id = useId();
  const { box, width } = useWidth(1000, 320);
  const [view, setView] = useState<View>(model.focus);
  const [pointed, setPointed] = useState<Pointed | undefined>(undefined);
  const [drag, setDrag] = useState<{ from: number; to: number } | undefined>(undefined);
  const scale = useMemo(() => new Scale(view, width), [view, width]);
  const { lanes, height } = useMemo(() => place(model, scale), [model, scale]);
  const span = scale.to - scale.from;

  /** Shows `wide` seconds from `start`, kept inside the cell. */
  const show = (start: number, wide: number) => {
    const kept = Math.min(model.end, Math.max(MIN_SPAN_SECONDS, wide));
    const from = Math.min(Math.max(0, start), model.end - kept);
    setView([from, from + kept]);
  };
  const zoom = (factor: number) => {
    const middle = pointed === undefined ? scale.from + span / 2 : Math.max(scale.from, pointed.bar.from);
    show(middle - (middle - scale.from) * factor, span * factor);
  };
  const pan = (part: number) => {
    show(scale.from + span * part, span);
  };

  const pointOf = (event: PointerEvent): { px: number; py: number } => {
    const rect = box.current?.getBoundingClientRect();
    return { px: event.clientX - (rect?.left ?? 0), py: event.clientY - (rect?.top ?? 0) };
  };
  const barAt = ({ px, py }: { px: number; py: number }): Pointed | undefined => {
    const lane = lanes.findIndex(p => py >= p.y && py < p.y + p.height);
    const placed = lanes[lane];
    if (placed === undefined || px < scale.gutter) return undefined;
    if (placed.lane.look === "mark") {
      const mark = markPlaces(
        placed.lane.bars.filter(b => scale.shows(b)),
        scale,
      ).find(m => Math.abs(m.x - px) < 9);
      return mark === undefined ? undefined : { lane, bar: mark.bar };
    }
    const near = placed.lane.bars.filter(bar => {
      const { left, wide } = scale.extent(bar);
      const y = barTop(placed, bar);
      return (
        scale.shows(bar) && px >= left - 3 && px <= left + wide + 3 && py >= y - 1 && py <= y + placed.rowHeight + 1
      );
    });
    const best = near.toSorted((a, b) => Math.abs(scale.x(a.from) - px) - Math.abs(scale.x(b.from) - px))[0];
    return best === undefined ? undefined : { lane, bar: best };
  };

  const onPointerMove = (event: PointerEvent) => {
    const point = pointOf(event);
    if (drag !== undefined) setDrag({ from: drag.from, to: point.px });
    else setPointed(barAt(point));
  };
  const onPointerUp = (event: PointerEvent) => {
    if (drag === undefined) return;
    setDrag(undefined);
    const low = scale.timeAt(Math.max(scale.gutter, Math.min(drag.from, drag.to)));
    if (Math.abs(drag.to - drag.from) > MIN_DRAG) {
      show(low, scale.timeAt(Math.max(drag.from, drag.to)) - low);
      return;
    }
    const hit = barAt(pointOf(event));
    if (hit !== undefined) onLine(hit.bar.line);
  };
  const onKey = (lane: number) => (event: KeyboardEvent) => {
    const bars = lanes[lane]?.lane.bars.toSorted((a, b) => a.from - b.from) ?? [];
    const current = pointed?.lane === lane ? bars.indexOf(pointed.bar) : -1;
    const go = (target: number) => {
      const bar = bars[Math.min(bars.length - 1, Math.max(0, target))];
      if (bar === undefined) return;
      setPointed({ lane, bar });
      if (!scale.shows(bar)) show(bar.from - span / 2, span);
    };
    if (event.key === "ArrowRight") go(current + 1);
    else if (event.key === "ArrowLeft") go(current - 1);
    else if (event.key === "Enter" && pointed !== undefined) onLine(pointed.bar.line);
    else if (event.key === "Escape") setPointed(undefined);
    else if (event.key === "+") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else return;
    event.preventDefault();
  };

  const pointedLane = pointed === undefined ? undefined : lanes[pointed.lane];
  return (
    <figure class="timeline">
      <Toolbar
        focused={view === model.focus}
        commands={model.groups.some(group => group.title === COMMANDS)}
        whole={view[0] === 0 && view[1] === model.end}
        onFocused={() => setView(model.focus)}
        onWhole={() => setView([0, model.end])}
        onZoom={zoom}
        onPan={pan}
      />
      <div class="canvas" ref={box}>
        <svg
          viewBox={`0 0 ${String(width)} ${String(height)}`}
          role="group"
          aria-label={`Timeline, ${formatSeconds(scale.from)} to ${formatSeconds(scale.to)} since the cell began`}
          onPointerDown={event => {
            const { px } = pointOf(event);
            if (event.button === 0 && px >= scale.gutter) setDrag({ from: px, to: px });
          }}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerLeave={() => {
            setPointed(undefined);
            setDrag(undefined);
          }}
        >
          <defs>
            <clipPath id={`${id}-plot`}>
              <rect x={scale.gutter - 2} y={0} width={width - scale.gutter + 2} height={height} />
            </clipPath>
            <pattern
              id={`${id}-hatch`}
              width="6"
              height="6"
              patternUnits="userSpaceOnUse"
              patternTransform="rotate(45)"
            >
              <rect class="hatch-line" width="2" height="6" />
            </pattern>
          </defs>
          <g clip-path={`url(#${id}-plot)`}>
            {model.faults.map((fault, i) =>
              scale.shows(fault) ? (
                <rect
                  key={fault.line}
                  class={`band band-${String(i % 3)}`}
                  x={scale.x(fault.from)}
                  y={AXIS}
                  width={scale.extent(fault).wide}
                  height={height - AXIS}
                />
              ) : null,
            )}
            {ticksOf(scale).map(tick => (
              <g key={tick.text} class="tick">
                <line x1={scale.x(tick.at)} x2={scale.x(tick.at)} y1={AXIS - 6} y2={height} />
                <text x={scale.x(tick.at)} y={AXIS - 11}>
                  {tick.text}
                </text>
              </g>
            ))}
          </g>
          {lanes.map((placed, i) => (
            <TimelineLane
              key={`${placed.group}/${placed.lane.label}`}
              placed={placed}
              scale={scale}
              id={id}
              bottom={height}
              onKey={onKey(i)}
              onFocus={first => {
                if (pointed?.lane !== i && first !== undefined) setPointed({ lane: i, bar: first });
              }}
              onBlur={() => {
                setPointed(undefined);
              }}
            />
          ))}
          {pointed !== undefined && pointedLane !== undefined && scale.shows(pointed.bar) && (
            <rect
              class="pointed"
              x={scale.extent(pointed.bar).left - 1}
              y={barTop(pointedLane, pointed.bar) - 1}
              width={scale.extent(pointed.bar).wide + 2}
              height={(pointedLane.lane.look === "thin" ? pointedLane.rowHeight : ROW - 3) + 2}
            />
          )}
          {drag !== undefined && (
            <rect
              class="selection"
              x={Math.min(drag.from, drag.to)}
              y={AXIS}
              width={Math.abs(drag.to - drag.from)}
              height={height - AXIS}
            />
          )}
        </svg>
        {pointed !== undefined && pointedLane !== undefined && (
          <Tip
            bar={pointed.bar}
            left={Math.min(Math.max(scale.x(pointed.bar.from), scale.gutter), width - 20)}
            top={barTop(pointedLane, pointed.bar) + pointedLane.rowHeight + 8}
            flip={scale.x(pointed.bar.from) > width * 0.6}
          />
        )}
      </div>
    </figure>
  );
};
