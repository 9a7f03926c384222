/** A file that names several transports is one scenario for each of them: the same story, told over tcp and over iser. */

/** A scenario's name and its data, not validated yet. */
export interface Unvalidated {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The scenarios of a file: itself, or `NAME@TRANSPORT` for each of a list. What is no list is left to validation. */
export const overEachTransport = (name: string, data: Readonly<Record<string, unknown>>): readonly Unvalidated[] => {
  const { lab, title } = data;
  if (!isRecord(lab) || !Array.isArray(lab["transport"]) || lab["transport"].length === 0) return [{ name, data }];
  return [...new Set<unknown>(lab["transport"])].map(transport => ({
    name: `${name}@${String(transport)}`,
    data: {
      ...data,
      ...(typeof title === "string" && { title: `${title}, over ${String(transport)}` }),
      lab: { ...lab, transport },
    },
  }));
};

/** The file's name in that of a scenario. */
export const fileOf = (name: string): string => name.replace(/@[a-z]+$/, "");
