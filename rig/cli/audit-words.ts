/** What an audit says, for people, and the exit status that goes with it. */
import pc from "picocolors";
import { type Answer, AUDIT_VERDICTS, type AuditVerdict } from "../kernel/audit.ts";
import type { AuditSource } from "../kernel/audit-source.ts";
import { table, wrapped } from "./table.ts";

export interface Audit {
  readonly kernel: string;
  readonly source: AuditSource;
  readonly answers: readonly Answer[];
  /** Results of the scenarios that were run. */
  readonly directory: string | undefined;
  /** Whether scenarios were asked for. */
  readonly run: boolean;
  /** Whether every fix's evidence is asked for. */
  readonly evidence: boolean;
}

const PAINT: Record<AuditVerdict, (text: string) => string> = {
  present: pc.green,
  absent: text => pc.bold(pc.red(text)),
  unknown: pc.yellow,
  "not-applicable": pc.dim,
};

const inAll = (answers: readonly Answer[]): readonly Answer[] => answers.flatMap(answer => [answer, ...answer.parts]);

const place = ({ file, line, function: name, excerpt, there }: Answer["evidence"][number]): string => {
  const where = there || name !== undefined ? `${file}:${line}` : file;
  const inside = name === undefined ? "" : ` ${name}()`;
  return there ? `${where}${inside}: ${excerpt}` : `${where}${inside}: no ${excerpt}`;
};

/** One line of the table for each answer; the verdicts are painted once the columns stand. */
const answerTable = (answers: readonly Answer[]): string => {
  const all = inAll(answers);
  const rows = all.map(({ id, commit, verdict, title }) => [
    id === commit ? id : `  ${id.slice(commit.length).trim()}`,
    verdict,
    title,
  ]);
  const [head = "", ...lines] = table([["FIX", "VERDICT", "TITLE"], ...rows]).split("\n");
  const at = head.indexOf("VERDICT");
  return [
    pc.bold(head),
    ...lines.map((line, i) => {
      const verdict = all[i]?.verdict ?? "unknown";
      return `${line.slice(0, at)}${PAINT[verdict](verdict)}${line.slice(at + verdict.length)}`;
    }),
  ].join("\n");
};

/** What stands below the table of an answer: what it means, and the places that decide. */
const details = ({ id, verdict, without, why, evidence }: Answer, width: number | undefined): readonly string[] => {
  return [
    "",
    `${pc.bold(id)} ${PAINT[verdict](verdict)}`,
    ...(verdict === "absent" || verdict === "unknown" ? wrapped(`without it: ${without}`, width, "  ") : []),
    ...wrapped(why, width, "  "),
    ...evidence.map(one => pc.dim(`  ${place(one)}`)),
  ];
};

const countWords = (answers: readonly Answer[]): string =>
  AUDIT_VERDICTS.flatMap(verdict => {
    const count = answers.filter(answer => answer.verdict === verdict).length;
    return count === 0 ? [] : [`${count} ${verdict.replace("-", " ")}`];
  }).join(", ");

/** The exit status that --fail-on asks for. */
export const auditStatus = (answers: readonly Answer[], failOn: "absent" | "unknown" | undefined): number => {
  const bad: readonly AuditVerdict[] =
    failOn === "absent" ? ["absent"] : failOn === "unknown" ? ["absent", "unknown"] : [];
  return inAll(answers).some(({ verdict }) => bad.includes(verdict)) ? 1 : 0;
};

/** The lines that an audit ends with, for a terminal of that width, or a file. */
export const auditWords = (
  { kernel, source, answers, directory, run, evidence }: Audit,
  width: number | undefined,
): readonly string[] => {
  // A fix in parts is told by its parts; where nothing could be read, the one reason is said once.
  const told = inAll(answers)
    .filter(({ verdict, parts }) => parts.length === 0 || verdict === "not-applicable")
    .filter(({ verdict }) => evidence || verdict === "absent" || verdict === "unknown");
  return [
    answerTable(answers),
    ...("why" in source && !run ? [] : told.flatMap(answer => details(answer, width))),
    "",
    pc.bold(`${kernel}: ${countWords(answers)}.`),
    "why" in source ? `No source: ${source.why}.` : `Read from ${source.title}.`,
    ...(directory === undefined ? [] : [`Results: ${directory}`]),
  ];
};
