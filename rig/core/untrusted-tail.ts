/** The last few lines of a command's output, bounded, for an error message. */
export const lastLines = (text: string, count: number): string =>
  text
    .replaceAll("\r", "\n")
    .split("\n")
    .filter(line => line.trim() !== "")
    .slice(-count)
    .map(line => `  ${line.slice(0, 300)}`)
    .join("\n");
