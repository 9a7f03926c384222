/** Violations as the report shows them: what stood where, and what should have. */
import { BACKING, type OperationTable } from "../history/operations.ts";
import type { BadCommand, BadExtent } from "./finding.ts";
import { expectedOf } from "./integrity-legal.ts";
import { homeOf } from "./integrity-titles.ts";
import { foreignBytes, type Violation } from "./violation.ts";
import { labelOf } from "./words.ts";

const foundOf = ({ proof, read }: Violation, table: OperationTable): BadExtent["found"] => {
  switch (proof.kind) {
    case "stale":
    case "late":
    case "returned":
    case "lost":
      return proof.found === undefined
        ? { label: labelOf(undefined) }
        : { op: proof.found, label: labelOf(table.get(proof.found)) };
    case "torn": {
      const { badFrom, head } = proof.extent;
      return { op: proof.found, label: `${labelOf(table.get(proof.found))}, damaged from byte ${badFrom}`, head };
    }
    case "misdirected":
      return { op: proof.found, label: `${labelOf(table.get(proof.found))} of sector ${homeOf(proof.extent)}` };
    case "early":
      return { op: proof.found, label: `${labelOf(table.get(proof.found))}, not yet written` };
    case "foreign": {
      const bytes = foreignBytes(proof);
      if (bytes === undefined) return { label: "data of no operation" };
      return {
        label: bytes.otherRun === true ? "data of another run" : "bytes no operation wrote",
        head: bytes.head,
      };
    }
    case "unreadable": {
      const error = table.errors.get(read - 1);
      return { label: error === undefined ? "no answer" : `error: ${error}` };
    }
  }
};

export const badExtentOf = (
  violation: Violation,
  table: OperationTable,
  commands: readonly BadCommand[] = [],
): BadExtent => ({
  sector: violation.sector,
  sectors: violation.sectors,
  via: ((table.flags[violation.read - 1] ?? 0) & BACKING) === 0 ? "initiator" : "backing",
  ...(violation.disk.lun === undefined || violation.disk.lun === 0 ? {} : { lun: violation.disk.lun }),
  expected: expectedOf(violation, table),
  found: foundOf(violation, table),
  ...(commands.length === 0 ? {} : { commands: [...commands] }),
});
