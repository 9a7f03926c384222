/** Argument vectors for the one place that has no choice: ssh hands a command to the remote shell as one string. */

/** Quotes one argument for a POSIX shell. */
export const shellQuote = (argument: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

export const shellCommand = (argv: readonly string[]): string => argv.map(shellQuote).join(" ");
