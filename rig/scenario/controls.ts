/**
 * The controls that a timeline works with, bound to a running lab. Each call is a step: it has a deadline, and its
 * beginning and end are in the history.
 */
import { sleep } from "../core/clock.ts";
import { RigError } from "../core/errors.ts";
import { PATH_NAMES, type PathName } from "../core/names.ts";
import { createRng } from "../core/rng.ts";
import type { FaultDesk } from "../fault/fault.ts";
import { IscsidKill } from "../fault/iscsid-kill.ts";
import { PathDrop } from "../fault/path-drop.ts";
import type { Session } from "../iscsi/initiator.ts";
import { reinstatePath } from "../iscsi/multipath.ts";
import { queuePairsAreQuiet } from "../iscsi/queue-pair.ts";
import type { WatchState } from "../iscsi/watch.ts";
import type { Ledger } from "../workload/ledger.ts";
import type { Device } from "./devices.ts";
import { ledgerControl } from "./ledger-control.ts";
import type { IscsidControl, PathControl, TimelineContext } from "./scenario.ts";
import { type SessionBench, sessionControl } from "./session-control.ts";

export interface Bench extends SessionBench {
  readonly devices: readonly Device[];
  readonly ledger: Ledger;
  readonly desk: FaultDesk;
  readonly seed: number;
  readonly sessions: readonly Session[];
  /** Milliseconds in which the configuration must have answered an operation. */
  readonly answerWithinMs: number;
}

/** How long an event of a timeline may keep its step waiting. */
const STEP_MS = 60_000;

/** LIO executes a command in the thread that read it; a last one may be between its socket and the disk. */
const EXECUTION_MS = 300;

/** Nothing that was sent earlier can still come out of the path. */
export const isQuiet = ({ sockets, queuePairs }: WatchState, path: PathName): boolean =>
  queuePairsAreQuiet(queuePairs.values(), path) &&
  [...sockets.values()]
    .filter(socket => socket.path === path)
    .every(socket =>
      socket.node === "initiator"
        ? socket.state === "ESTABLISHED" && !socket.orphan
        : socket.receiveQueueBytes === 0 && socket.state !== "CLOSE-WAIT",
    );

/** Marks a deadline that the session oracle may explain: a session did not come back. */
export const isUnrecovered = (error: unknown): boolean =>
  error instanceof RigError && error.context["unrecovered"] === true;

const unrecovered = (error: unknown): unknown =>
  error instanceof RigError && error.code === "RIG_DEADLINE"
    ? new RigError(error.code, error.message, { cause: error, context: { unrecovered: true } })
    : error;

/**
 * Waits until every session is logged in, and gives the paths that failed back to dm-multipath: with a table that was set
 * directly there is no multipathd to do it, and I/O that finds no path waits for ever.
 */
export const recover = async ({ lab, watch, sessions, loggedOut, scale, signal }: Bench): Promise<void> => {
  const wanted = sessions.filter(({ path }) => !loggedOut.has(path));
  const recovered = () => watch.recoveredBut(loggedOut);
  const reinstate = async () => {
    for (const session of wanted) {
      const { multipath, sessions: now } = watch.state;
      const isBack = [...now.values()].some(({ path, state }) => path === session.path && state === "LOGGED_IN");
      if (!isBack || multipath.get(session.path) !== "failed") continue;
      // In every map: where it has not failed, this changes nothing.
      for (const disk of session.disks) await reinstatePath(lab.nodes.initiator, disk, signal);
    }
  };
  try {
    await watch.until(recovered, "every session to be logged in again", STEP_MS * scale, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    // The others are still given back: what is read at the end has to find a path. That it failed to come is what is told.
    await reinstate().catch(() => undefined);
    throw unrecovered(error);
  }
  await reinstate();
  // Without dm-multipath no path is ever failed.
  const allActive = ({ multipath: now }: WatchState) => wanted.every(({ path }) => now.get(path) !== "failed");
  await watch.until(allActive, "every path to be active in dm-multipath", STEP_MS * scale, signal);
};

/** Waits until nothing sent earlier can still arrive over a path. */
const untilQuiet = async ({ watch, scale, signal }: Bench, path: PathName): Promise<void> => {
  // The two nodes are not looked at in the same moment: what one seems to have received the other may have added to since.
  do {
    await watch.until(state => isQuiet(state, path), `path ${path} to be quiet`, STEP_MS * scale, signal);
    await sleep(EXECUTION_MS * scale, signal);
  } while (!isQuiet(watch.state, path));
};

/** Waits until the lab is as it was before the first fault: sessions, paths, and nothing under way that was sent earlier. */
export const settle = async (bench: Bench): Promise<void> => {
  await recover(bench);
  await Promise.all(PATH_NAMES.map(path => untilQuiet(bench, path)));
};

type Step = <T>(text: string, work: () => Promise<T>) => Promise<T>;

const pathControl = (bench: Bench, step: Step, path: PathName): PathControl => {
  const { lab, desk } = bench;
  let drops = 0;
  let active: PathDrop | undefined;
  return {
    drop: () =>
      step(`drop path ${path}`, async () => {
        if (active !== undefined)
          throw new RigError("RIG_BAD_SCENARIO", `Path ${path} is dropped already; heal it first.`, {
            blame: "scenario",
          });
        active = new PathDrop(lab.nodes.target.container, path, ++drops);
        await desk.inject(active);
      }),
    heal: () =>
      step(`heal path ${path}`, async () => {
        if (active !== undefined) await desk.heal(active);
        active = undefined;
      }),
    quiet: () => step(`path ${path} is quiet`, () => untilQuiet(bench, path)),
  };
};

const iscsidControl = (bench: Bench, step: Step): IscsidControl => {
  let kills = 0;
  let active: IscsidKill | undefined;
  return {
    kill: () =>
      step("kill iscsid", async () => {
        active = new IscsidKill(bench.lab.nodes.initiator, bench.watch, ++kills, bench.signal);
        await bench.desk.inject(active);
      }),
    restart: ({ afterMs = 0 } = {}) =>
      step(afterMs === 0 ? "restart iscsid" : `restart iscsid after ${afterMs} ms`, async () => {
        if (active === undefined)
          throw new RigError("RIG_BAD_SCENARIO", "iscsid was not killed; there is nothing to restart.", {
            blame: "scenario",
          });
        await active.delay(afterMs);
        await bench.desk.heal(active);
      }),
  };
};

/** The controls of one cell. */
export const timelineContext = (bench: Bench): TimelineContext => {
  const { sink, signal } = bench;
  const step: Step = async (text, work) => {
    signal.throwIfAborted();
    sink.record({ kind: "step", text, edge: "begin" });
    const result = await work();
    sink.record({ kind: "step", text, edge: "end" });
    return result;
  };
  const rng = createRng(bench.seed);
  const paths = Object.fromEntries(PATH_NAMES.map(path => [path, pathControl(bench, step, path)])) as Record<
    PathName,
    PathControl
  >;
  return {
    path: paths,
    iscsid: iscsidControl(bench, step),
    ledger: ledgerControl(bench, step),
    recovered: () => step("every session is logged in and every path in use", () => recover(bench)),
    session: path => sessionControl(bench, step, path, STEP_MS),
    instrument: name => ({
      set: ms => step(`set ${name} to ${ms} ms`, () => bench.instruments.set(name, ms)),
    }),
    pause: (ms, why) => step(`wait ${ms} ms: ${why}`, () => sleep(ms, signal)),
    random: (from, to) => rng.integer(from, to),
  };
};
