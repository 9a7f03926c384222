/** What every command has: a log, and a signal that aborts when the user wants to stop. */

import { RigError } from "../core/errors.ts";
import { createLog, type Log } from "../core/log.ts";

export interface CommandContext extends Disposable {
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The first signal asks for a clean stop; a second one ends the process and leaves the clean-up to the next start. */
export const commandContext = (): CommandContext => {
  const log = createLog();
  const controller = new AbortController();
  const handler = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      log.status("");
      log.say(`${name} again: ending at once. What is left over is removed by the next start, or by: rig reap`, "warn");
      process.exit(3);
    }
    log.say(`${name}: stopping and cleaning up (once more to end at once).`, "warn");
    controller.abort(
      new RigError("RIG_INTERRUPTED", `Stopped by ${name}; everything was cleaned up.`, { blame: "environment" }),
    );
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, handler);
  return {
    log,
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, handler);
      log.status("");
    },
  };
};
