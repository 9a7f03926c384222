/** How violations are told apart: the line that names a kind of them, and what two must have in common to be one. */
import { foreignBytes, type Proof } from "./violation.ts";

/** One line for a finding of this violation's class; the more damning of two comes first when they are mixed. */
const TITLES = [
  "older data over newer acknowledged data",
  "older data over newer data that had been read",
  "failed write took effect after its error",
  "data that a power cut had taken came back",
  "data that had been replaced came back",
  "flushed write lost in a power cut",
  "acknowledged write lost",
  "sector made of parts of different writes",
  "data at the wrong address",
  "data read before it was written",
  "data that no operation wrote",
  "sectors unreadable in the final read-back",
] as const;

/** The address at which a stamped extent belongs. */
export const homeOf = (extent: { readonly at: number; readonly address?: number }): number =>
  extent.address ?? extent.at;

/** The title's place in the list. */
export const rankOf = (proof: Proof): number => {
  switch (proof.kind) {
    case "stale":
      return proof.acknowledged ? 0 : 1;
    case "late":
      return 2;
    case "returned":
      return proof.cut === undefined ? 4 : 3;
    case "lost":
      return proof.cut === undefined ? 6 : 5;
    case "torn":
      return 7;
    case "misdirected":
      return 8;
    case "early":
      return 9;
    case "foreign":
      return 10;
    case "unreadable":
      return 11;
  }
};

export const titleOf = (proof: Proof): string => TITLES[rankOf(proof)] ?? "";

/** The same for violations that found the same thing in the same way. */
export const foundKey = (proof: Proof): string => {
  const rank = rankOf(proof);
  switch (proof.kind) {
    case "foreign":
      return `${rank} ${foreignBytes(proof)?.otherRun ?? proof.extent.is}`;
    case "unreadable":
      return `${rank}`;
    case "torn":
      return `${rank} ${proof.found} ${proof.extent.badFrom}`;
    case "misdirected":
      return `${rank} ${proof.found} ${homeOf(proof.extent)}`;
    case "stale":
    case "late":
    case "returned":
    case "lost":
    case "early":
      return `${rank} ${proof.found ?? ""}`;
  }
};
