/**
 * A picture of the disk: one square a sector, coloured by whose data it should hold and whose it holds. Two pictures, one
 * above the other, so that a difference is seen before it is read; squares carry the generation's number as well, and bad
 * ones a frame, so that no colour is needed.
 */
import { useState } from "preact/hooks";
import { MAX_SQUARES, type SectorPicture, type SectorView, type Square, VIA_WORDS } from "./sectors.ts";
import { counted, formatCount } from "./units.ts";
import { useWidth } from "./use-width.ts";

/** With more names than colours the picture falls back to right and wrong. */
const COLOURS = 7;
const GUTTER = 44;

/** The last number in a name, or its first letters: what fits into a square. */
const tagOf = (name: string): string =>
  /(\d{1,3})\D*$/.exec(name)?.[1] ?? (name === "zeros" ? "0" : name.slice(0, 1).toUpperCase());

interface Painter {
  readonly classOf: (name: string, square: Square) => string;
  readonly key: readonly { readonly name: string; readonly cls: string }[];
}

const OTHER: Readonly<Record<string, string>> = {
  zeros: "data-zero",
  "not read": "data-unread",
  "foreign bytes": "data-foreign",
};

const painterFor = (names: readonly string[]): Painter => {
  const generations = names.filter(name => OTHER[name] === undefined);
  if (generations.length > COLOURS) {
    return {
      classOf: (name, square) => OTHER[name] ?? (square.bad && name === square.holds ? "data-1" : "data-2"),
      key: [
        { name: "as it should be", cls: "data-2" },
        { name: "other data", cls: "data-1" },
      ],
    };
  }
  // The newest data is always the same blue, and older data goes backwards from it.
  const cls = new Map(generations.map((name, i) => [name, `data-${String(Math.max(0, i + 3 - generations.length))}`]));
  if (generations.length > 3) generations.forEach((name, i) => cls.set(name, `data-${String(i)}`));
  const classOf = (name: string) => OTHER[name] ?? cls.get(name) ?? "data-foreign";
  return { classOf, key: names.map(name => ({ name, cls: classOf(name) })) };
};

interface PanelProps {
  readonly title: string;
  readonly squares: readonly Square[];
  readonly name: (square: Square) => string;
  readonly painter: Painter;
  readonly width: number;
  readonly frameBad: boolean;
  readonly onPoint: (square: Square | undefined) => void;
}

const columnsFor = (count: number, width: number): number => {
  const room = width - GUTTER;
  if (count <= 512) return room >= 480 ? 32 : 16;
  return count <= 4096 ? (room >= 480 ? 64 : 32) : 128;
};

/** The edges of the bad regions: a line wherever a bad square has a neighbour that is not. */
const outline = (squares: readonly Square[], columns: number, side: number, gap: number): string => {
  const bad = (i: number, column: number): boolean => column >= 0 && column < columns && squares[i]?.bad === true;
  return squares
    .map((square, i) => {
      if (!square.bad) return "";
      const column = i % columns;
      const x = GUTTER + column * side - gap / 2;
      const y = Math.floor(i / columns) * side - gap / 2;
      const top = bad(i - columns, column) ? "" : `M${String(x)} ${String(y)}h${String(side)}`;
      const bottom = bad(i + columns, column) ? "" : `M${String(x)} ${String(y + side)}h${String(side)}`;
      const left = bad(i - 1, column - 1) ? "" : `M${String(x)} ${String(y)}v${String(side)}`;
      const right = bad(i + 1, column + 1) ? "" : `M${String(x + side)} ${String(y)}v${String(side)}`;
      return top + bottom + left + right;
    })
    .join("");
};

const Panel = ({ title, squares, name, painter, width, frameBad, onPoint }: PanelProps) => {
  const columns = columnsFor(squares.length, width);
  const side = Math.max(2, Math.min(20, Math.floor((width - GUTTER) / columns)));
  const rows = Math.ceil(squares.length / columns);
  const at = (i: number) => ({ x: GUTTER + (i % columns) * side, y: Math.floor(i / columns) * side });
  const gap = side > 7 ? 1.5 : 0.5;
  const paths = new Map<string, string>();
  squares.forEach((square, i) => {
    const { x, y } = at(i);
    const cls = painter.classOf(name(square), square);
    const d = `M${String(x)} ${String(y)}h${String(side - gap)}v${String(side - gap)}h-${String(side - gap)}z`;
    paths.set(cls, (paths.get(cls) ?? "") + d);
  });
  const frames = frameBad ? outline(squares, columns, side, gap) : "";
  const onPointerMove = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const rect = event.currentTarget.getBoundingClientRect();
    const column = Math.floor((event.clientX - rect.left - GUTTER) / side);
    const row = Math.floor((event.clientY - rect.top - 2) / side);
    onPoint(column < 0 || column >= columns ? undefined : squares[row * columns + column]);
  };
  const every = rows > 24 ? 8 : rows > 12 ? 4 : 1;
  return (
    <div class="sector-panel">
      <h5>{title}</h5>
      <svg
        width={GUTTER + columns * side + 2}
        height={rows * side + 4}
        viewBox={`0 -2 ${String(GUTTER + columns * side + 2)} ${String(rows * side + 4)}`}
        role="img"
        aria-label={title}
        onPointerMove={onPointerMove}
        onPointerLeave={() => {
          onPoint(undefined);
        }}
      >
        {Array.from({ length: Math.ceil(rows / every) }, (_, i) => (
          <text key={i} class="address" x={GUTTER - 6} y={i * every * side + Math.min(side, 14) - 3}>
            {formatCount(squares[i * every * columns]?.sector ?? 0)}
          </text>
        ))}
        {[...paths].map(([cls, d]) => (
          <path key={cls} class={cls} d={d} />
        ))}
        {side >= 11 &&
          squares.map((square, i) => (
            <text
              key={square.sector}
              class={`tag on-${painter.classOf(name(square), square)}`}
              x={at(i).x + (side - gap) / 2}
              y={at(i).y + side / 2 + 2.6}
            >
              {tagOf(name(square))}
            </text>
          ))}
        {frames !== "" && <path class="bad-frame" d={frames} />}
      </svg>
    </div>
  );
};

const viasTitle = (view: SectorView): string =>
  view.vias.length > 1
    ? "read through the initiator, and the same from the target's backing device"
    : view.vias.map(v => VIA_WORDS[v]).join("");

interface DiskProps {
  /** Where there are several. */
  readonly lun: number | undefined;
  readonly views: readonly SectorView[];
  readonly common: Pick<PanelProps, "painter" | "width" | "onPoint">;
}

/** What one disk should hold, if it does not, and what it holds. */
const Disk = ({ lun, views, common }: DiskProps) => {
  const which = lun === undefined ? "" : `LUN ${String(lun)}: `;
  const [first] = views;
  return (
    <>
      {first !== undefined && views.some(v => v.badCount > 0) && (
        <Panel
          {...common}
          title={`${which}Should hold`}
          squares={first.squares}
          name={s => s.shouldHold}
          frameBad={false}
        />
      )}
      {views.map(view => (
        <Panel
          key={view.vias.join()}
          {...common}
          title={`${which}Holds, ${viasTitle(view)}: ${view.badCount > 0 ? `${formatCount(view.badCount)} of ${counted(view.squares.length, "sector")} wrong` : `${counted(view.squares.length, "sector")}, none wrong`}`}
          squares={view.squares}
          name={s => s.holds}
          frameBad
        />
      ))}
    </>
  );
};

export const SectorMap = ({ picture }: { readonly picture: SectorPicture }) => {
  const { box, width } = useWidth(600, 280);
  const [pointed, setPointed] = useState<Square | undefined>(undefined);
  const painter = painterFor(picture.names);
  const first = picture.views[0];
  if (first === undefined) return <p class="quiet">Nothing was read back.</p>;
  const common = { painter, width, onPoint: setPointed };
  const disks = [...Map.groupBy(picture.views, view => view.lun)];
  const anyBad = picture.views.some(v => v.badCount > 0);
  const cut = picture.views.some(v => v.squares.length >= MAX_SQUARES);
  return (
    <div class="sector-map" ref={box}>
      <p class="key">
        {painter.key.map(({ name, cls }) => (
          <span key={name}>
            <i class={`swatch ${cls}`} />
            {name}
          </span>
        ))}
        {anyBad && (
          <span>
            <i class="swatch framed" />
            must not be there
          </span>
        )}
      </p>
      {disks.map(([lun, views]) => (
        <Disk key={lun} lun={disks.length > 1 ? lun : undefined} views={views} common={common} />
      ))}
      <p class="quiet readout" aria-live="polite">
        {pointed === undefined
          ? "One square is a sector of 512 bytes; the numbers at the left are addresses."
          : `Sector ${formatCount(pointed.sector)} holds ${pointed.holds}${pointed.bad ? `; it should hold ${pointed.shouldHold}` : ""}.`}
        {cut ? ` Only the first ${formatCount(MAX_SQUARES)} sectors are drawn.` : ""}
      </p>
    </div>
  );
};
