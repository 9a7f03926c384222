/**
 * Status and verdict marks. Each has a colour, a shape and a word, so that none depends on seeing colours. Shapes are
 * drawn, not taken from a font: a report must look the same on a machine without symbol fonts.
 */
import type { JSX } from "preact";
import type { Status, Verdict } from "../../rig/core/names.ts";

const SHAPES: Readonly<Record<Status | Verdict, JSX.Element>> = {
  FAIL: <path d="M2.5 2.5l7 7m0-7l-7 7" />,
  ERROR: <path d="M6 1.5v5.5m0 2.4v1.1" />,
  MISS: <path d="M2 10L10 2M6 1.6a4.4 4.4 0 1 0 .01 0z" />,
  PASS: <path d="M1.8 6.5l2.9 3 5.5-7" />,
  DONE: <path d="M2.5 2.5h7v7h-7z" />,
  SKIP: <path d="M2 2.5L5.5 6 2 9.5m4-7L9.5 6 6 9.5" />,
  fixed: <path d="M1.8 6.5l2.9 3 5.5-7" />,
  regressed: <path d="M2.5 2.5l7 7m0-7l-7 7" />,
  "both-fail": <path d="M1 3l4 6m0-6l-4 6M7 3l4 6m0-6l-4 6" />,
  "no-difference": <path d="M2 4.2h8M2 7.8h8" />,
  inconclusive: <path d="M3.5 4a2.5 2.5 0 1 1 3.6 2.2C6.3 6.6 6 7 6 7.8m0 2v1" />,
};

export const Glyph = ({ of }: { readonly of: Status | Verdict }) => (
  <svg class="glyph" viewBox="0 0 12 12" aria-hidden="true">
    {SHAPES[of]}
  </svg>
);

export const StatusChip = ({ status, count }: { readonly status: Status; readonly count?: number }) => (
  <span class={`chip ${status}${count === 0 ? " none" : ""}`}>
    <Glyph of={status} />
    {count === undefined ? "" : `${String(count)} `}
    {status}
  </span>
);

const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  fixed: "fixed",
  regressed: "regressed",
  "both-fail": "both fail",
  "no-difference": "no difference",
  inconclusive: "inconclusive",
};

export const VerdictChip = ({ verdict }: { readonly verdict: Verdict }) => (
  <span class={`chip verdict ${verdict}`}>
    <Glyph of={verdict} />
    {VERDICT_WORDS[verdict]}
  </span>
);
