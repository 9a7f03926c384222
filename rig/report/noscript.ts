/**
 * The part of the report that needs no script: the verdict and two tables, as plain HTML made here. It is what a mail
 * client, a text browser or a page with scripts turned off shows. Every word is escaped; nothing else is trusted.
 */
import { STATUSES, type Status } from "../core/names.ts";
import type { Comparison, Run } from "../results/schema.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, c => ENTITIES[c] ?? "");

const row = (tag: "td" | "th", fields: readonly (string | number)[]): string =>
  `<tr>${fields.map(f => `<${tag}>${escapeHtml(String(f))}</${tag}>`).join("")}</tr>`;

const table = (caption: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  rows.length === 0
    ? ""
    : `<table><caption>${escapeHtml(caption)}</caption><thead>${row("th", head)}</thead><tbody>${rows
        .map(fields => row("td", fields))
        .join("\n")}</tbody></table>`;

const countOf = (run: Run, status: Status): number => run.cells.filter(c => c.status === status).length;

const side = (s: Comparison["base"]): string => `${s.kernel}: ${s.fail} FAIL, ${s.pass} PASS, ${s.other} other`;

export const noscriptSummary = (run: Run): string =>
  [
    `<h1>${escapeHtml(run.verdict)}</h1>`,
    `<p>${escapeHtml(STATUSES.map(s => `${countOf(run, s)} ${s}`).join(", "))}</p>`,
    run.complete ? "" : "<p>The run was interrupted: this is what there is.</p>",
    table(
      "Comparison",
      ["scenario", "base", "head", "verdict", "p", "in words"],
      run.comparison.map(c => [c.scenario, side(c.base), side(c.head), c.verdict, c.p.toPrecision(2), c.words]),
    ),
    table(
      "Cells",
      ["status", "scenario", "kernel", "seed", "findings or reason"],
      run.cells.map(c => [
        c.status,
        c.scenario,
        c.kernel,
        c.seed,
        [...c.findings.map(f => `${f.class}: ${f.title}`), ...(c.reason === undefined ? [] : [c.reason])].join("; "),
      ]),
    ),
    `<p>${escapeHtml(`iscsi-rig ${run.tool.version}, ${run.startedAt}: ${run.command.join(" ")}`)}</p>`,
    "<p>The whole report needs scripts. They are in this file; it loads nothing else.</p>",
  ].join("\n");
