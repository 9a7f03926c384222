/** The command line: one module a command. Errors end here, as one clear message and an exit status. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Command, CommanderError } from "commander";
import pc from "picocolors";
import { asRigError, exitStatusOf } from "../core/errors.ts";
import { PROJECT_DIR } from "../core/paths.ts";
import { printable } from "../core/untrusted.ts";
import { checkCommand } from "./check.ts";
import { compareCommand } from "./compare.ts";
import { doctorCommand } from "./doctor.ts";
import { kernelsCommand } from "./kernels.ts";
import { reapCommand } from "./reap.ts";
import { reportCommand } from "./report.ts";
import { runCommand } from "./run.ts";
import { scenariosCommand } from "./scenarios.ts";
import { setupCommand } from "./setup.ts";
import { shellCommand } from "./shell.ts";
import { timingCommand } from "./timing.ts";

const { version } = JSON.parse(readFileSync(path.join(PROJECT_DIR, "package.json"), "utf8")) as { version: string };

const program = new Command("rig")
  .description(
    "Finds I/O corruption, hangs, crashes and stuck sessions of Linux iSCSI by breaking real connections, and compares kernels.",
  )
  .version(version)
  .option("--verbose", "with an error, also its code, its cause and its stack")
  .showHelpAfterError("(rig --help and rig COMMAND --help tell more)")
  .exitOverride()
  .addHelpText(
    "after",
    "\nExit status: 0 nothing wrong; 1 an oracle failed the kernel, or head regressed; 2 unusable arguments;\n             3 the rig could not do its work, or what is stored is damaged.",
  );

for (const command of [
  runCommand,
  compareCommand,
  checkCommand,
  reportCommand,
  timingCommand,
  kernelsCommand,
  scenariosCommand,
  doctorCommand,
  reapCommand,
  shellCommand,
  setupCommand,
]) {
  const made = command().exitOverride().copyInheritedSettings(program);
  for (const sub of made.commands) sub.copyInheritedSettings(made);
  program.addCommand(made);
}

const fail = (error: unknown): number => {
  const verbose = program.opts<{ verbose?: boolean }>().verbose === true;
  const known = asRigError(error);
  process.stderr.write(`${pc.red("rig:")} ${printable(known.message)}\n`);
  if (verbose)
    process.stderr.write(
      printable(
        `${known.code} (${known.blame})\n${known.stack ?? ""}\n${known.cause instanceof Error ? `caused by: ${known.cause.stack ?? ""}\n` : ""}`,
      ),
    );
  return exitStatusOf(known);
};

// A reader that went away (rig ... | head) is no error of the rig's.
process.stdout.on("error", () => undefined);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else process.exitCode = fail(error);
}
// Sockets to Docker are kept alive for reuse; the work is over.
process.exit(process.exitCode ?? 0);
