/** Columns for people: padded to the widest cell, two blanks apart; columns of numbers have their numbers on the right. */
export const table = (rows: readonly (readonly string[])[], numbers: readonly number[] = []): string => {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
  return rows
    .map(row =>
      row
        .map((cell, i) => {
          if (numbers.includes(i)) return cell.padStart(widths[i] ?? 0);
          return i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

/** A paragraph in lines of at most `width`, each indented, `p = 0.008` never parted; one line where there is no width. */
export const wrapped = (text: string, width: number | undefined, indent = ""): readonly string[] => {
  if (width === undefined) return [`${indent}${text}`];
  const lines: string[] = [];
  for (const word of text.split(/(?<!=) (?!=)/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${indent}${word}`);
  }
  return lines;
};
