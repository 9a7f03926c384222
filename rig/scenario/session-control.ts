/** What a timeline can ask of one path's session, and wait for. */
import { deadline, orAbort } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import type { PathName } from "../core/names.ts";
import { cleanLine } from "../core/untrusted.ts";
import type { HistorySink } from "../history/event.ts";
import type { SessionState, Watch, WatchState } from "../iscsi/watch.ts";
import type { Lab } from "../lab/lab.ts";
import type { Instruments } from "./instruments.ts";
import type { SessionControl } from "./scenario.ts";

/** What these controls need of a cell. */
export interface SessionBench {
  readonly lab: Lab;
  readonly watch: Watch;
  readonly sink: HistorySink;
  /** Paths whose session the timeline logged out: nobody waits for these to be logged in. */
  readonly loggedOut: Set<PathName>;
  readonly instruments: Instruments;
  /** Milliseconds in which a logout must be done, if no instrument holds it up. */
  readonly logoutWithinMs: number;
  /** Stretches the deadlines of steps. */
  readonly scale: number;
  readonly signal: AbortSignal;
}

type Step = <T>(text: string, work: () => Promise<T>) => Promise<T>;

/** How `timeout -s KILL` of coreutils ends when it had to kill: by the same signal, which a shell calls 137. */
const wasKilled = (exitCode: number): boolean => exitCode < 0 || exitCode === 128 + 9;

/** Time for the watch to see what iscsiadm says is done. */
const SEEN_WITHIN_MS = 1000;

export const sessionOf = ({ sessions }: WatchState, path: PathName): SessionState | undefined =>
  [...sessions.values()].find(session => session.path === path);

/** Nobody gets an answer from such a device any more (scsi_device_state of scsi_device.h). */
const isOffline = (session: SessionState | undefined): boolean =>
  session?.device === "offline" || session?.device === "transport-offline";

/**
 * Logs the session out by iscsiadm. However that ends it is no error of the timeline: whether it was refused, never came
 * back, or left the session where it was is the session oracle's to judge.
 */
const logOut = async (bench: SessionBench, path: PathName): Promise<void> => {
  const { watch, sink, lab, signal } = bench;
  const session = sessionOf(watch.state, path);
  if (session === undefined)
    throw new RigError("RIG_BAD_SCENARIO", `Path ${path} has no session that could be logged out.`, {
      blame: "scenario",
    });
  const { sid } = session;
  const withinMs = Math.ceil(bench.logoutWithinMs + bench.instruments.heldUpMs);
  using limit = deadline(withinMs, `session ${sid} to be gone`, signal);
  // From here on nobody waits for this session to be logged in.
  bench.loggedOut.add(path);
  sink.record({ kind: "logout", path, sid, edge: "begin", withinMs });
  // In the guest, so that nothing is left of it however the cell ends; timeout has no children but iscsiadm.
  const patience = ["timeout", "-s", "KILL", String(withinMs / 1000)];
  const { exitCode, stdout, stderr } = await lab.nodes.initiator.ssh.exec(
    [...patience, "iscsiadm", "-m", "session", "-r", sid, "-u"],
    { signal, timeoutMs: withinMs + 10_000 },
  );
  // iscsiadm's answer and the watch's line come by two ways.
  const gone = watch.until(
    state => !state.sessions.has(sid),
    `session ${sid} to be gone`,
    SEEN_WITHIN_MS * bench.scale,
    signal,
  );
  if (exitCode === 0) await orAbort(gone, limit).catch(() => undefined);
  else await gone.catch(() => undefined);
  signal.throwIfAborted();
  const text = cleanLine(`${stderr}${stdout}`.trim().replaceAll("\n", "; "), 400);
  sink.record({
    kind: "logout",
    path,
    sid,
    edge: "end",
    ...(wasKilled(exitCode) ? {} : { exitCode }),
    text,
  });
};

/** `stepMs` is how long a wait may take. */
export const sessionControl = (bench: SessionBench, step: Step, path: PathName, stepMs: number): SessionControl => {
  const { watch, signal, scale } = bench;
  const reaches = (what: string, holds: (state: string) => boolean) =>
    step(`session of path ${path} ${what}`, () =>
      watch.until(
        ({ sessions }) => [...sessions.values()].some(session => session.path === path && holds(session.state)),
        `that the session of path ${path} ${what}`,
        stepMs * scale,
        signal,
      ),
    );
  // With a replacement timeout of 0 the session is FREE at once, and FAILED for too short a time to be seen.
  return {
    failed: () => reaches("failed", state => state !== "LOGGED_IN"),
    loggedIn: () => reaches("is logged in", state => state === "LOGGED_IN"),
    connectionError: () =>
      step(`the kernel reports an error of path ${path}'s connection`, async () => {
        const sid = sessionOf(watch.state, path)?.sid ?? "?";
        await bench.lab.nodes.initiator.console.waitFor(
          new RegExp(`\\bconnection${sid}:0: detected conn error`),
          stepMs * scale,
          `the kernel to report an error of path ${path}'s connection`,
          signal,
        );
      }),
    observe: (ms, why) =>
      step(`watch the session of path ${path} for ${ms} ms: ${why}`, async () => {
        try {
          await watch.until(state => isOffline(sessionOf(state, path)), "the device to be offline", ms, signal);
        } catch (error) {
          // That nothing happened in this time is what a healthy kernel has to show.
          if (signal.aborted || !(error instanceof RigError) || error.code !== "RIG_DEADLINE") throw error;
        }
      }),
    logout: () => step(`log the session of path ${path} out`, () => logOut(bench, path)),
  };
};
