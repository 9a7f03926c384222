/** How the page writes quantities: always with a unit, and short. */

const NS_PER_S = 1e9;

/** An event's time in seconds since the cell began. */
export const secondsOf = (t: number): number => t / NS_PER_S;

export const formatSeconds = (seconds: number, digits = 3): string => `${seconds.toFixed(digits)} s`;

export const formatMs = (ms: number): string => {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return `${String(minutes)} min ${String(Math.round((ms - minutes * 60_000) / 1000))} s`;
};

export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return `${String(bytes)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : String(Math.round(value))} ${units[unit] ?? ""}`;
};

export const formatCount = (count: number): string => count.toLocaleString("en-US");

export const formatP = (p: number): string => (p < 0.001 ? "< 0.001" : p.toFixed(3));

/** `1 cell`, `2 cells`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** `sector 7` or `sectors 0 to 255`. */
export const sectorRange = (first: number, count: number): string =>
  count === 1 ? `sector ${formatCount(first)}` : `sectors ${formatCount(first)} to ${formatCount(first + count - 1)}`;
