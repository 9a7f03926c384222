/**
 * The fixture's run as a machine with little to spare would have left it: labs side by side, most of them restored, and
 * tries that were thrown away because the machine was too busy. For tests of what tells where the time goes.
 */
import type { CellSummary, Run } from "../../results/schema.ts";

const NOT_KEPT = "no lab of this kernel had been kept yet";

const phasesOf = ({ seed, kernel }: CellSummary, restored: boolean): CellSummary["phases"] => {
  const later = seed * 10;
  const slow = kernel === "debian-5.10" ? 1.3 : 1;
  return [
    restored ? { name: "restore", ms: 640 + later } : { name: "boot", ms: 4_180 + later },
    ...(restored ? [] : [{ name: "set-up", ms: 2_010 }]),
    { name: "open", ms: 160 },
    { name: "timeline", ms: Math.round(2_960 * slow) + later },
    { name: "heal", ms: 190 },
    ...(seed % 2 === 0 ? [{ name: "settle", ms: 1_200 }] : []),
    { name: "read-back", ms: 420 },
    { name: "collect", ms: 35 },
    { name: "judge", ms: 12 },
  ];
};

export const hurried = (run: Run): Run => ({
  ...run,
  durationMs: 22_500,
  jobs: { asked: "auto", most: 3 },
  cells: run.cells.map(cell => {
    if (cell.durationMs === 0) return cell;
    const restored = cell.seed > 1;
    const phases = phasesOf(cell, restored);
    return {
      ...cell,
      phases,
      durationMs: phases.reduce((ms, phase) => ms + phase.ms, 2),
      lab: restored ? { how: "restored" } : { how: "cold", why: NOT_KEPT },
      attempt: cell.seed === 4 ? 2 : 1,
    };
  }),
  starved: run.cells
    .filter(cell => cell.seed === 4)
    .map(({ scenario, kernel, seed, directory }) => ({
      scenario,
      kernel,
      seed,
      attempt: 1,
      reason: "the guests waited 412 ms for a CPU in one second of the timeline; 100 ms are allowed",
      directory: `${directory}-starved-1`,
    })),
});
