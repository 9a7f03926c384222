/**
 * Where a trace event's fields are, from the `format` file that the kernel gives with each event: offsets differ from kernel to
 * kernel, names do not. A format comes from a guest; what makes no sense in it is as good as not there.
 */

export interface TraceFormat {
  readonly id: number;
  /** Offset and size of each field, in bytes from the record's beginning. */
  readonly fields: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
}

const FIELD = /^\s*field:[^;]*?(\w+)(?:\[\w*\])?;\s*offset:(\d{1,4});\s*size:(\d{1,4});/gm;

/** Reads a format; undefined if it names no event. */
export const parseTraceFormat = (text: string): TraceFormat | undefined => {
  const id = /^ID: (\d{1,5})$/m.exec(text)?.[1];
  if (id === undefined) return undefined;
  const fields = [...text.matchAll(FIELD)].map(
    ([, name = "", offset, size]) => [name, { offset: Number(offset), size: Number(size) }] as const,
  );
  return { id: Number(id), fields: new Map(fields) };
};

/** The bytes of a field, or undefined where the record is too short for it or the event has none of that name. */
export const fieldOf = (format: TraceFormat, record: Buffer, name: string): Buffer | undefined => {
  const field = format.fields.get(name);
  if (field === undefined || field.offset + field.size > record.length) return undefined;
  return record.subarray(field.offset, field.offset + field.size);
};
