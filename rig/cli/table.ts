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
