/** Turns a booted lab into one that a timeline can work on: target, sessions, multipath, NBD, ledger, watch. */
import { z } from "zod";
import { RigError } from "../core/errors.ts";
import { PATH_NAMES } from "../core/names.ts";
import type { Scope } from "../core/scope.ts";
import { FaultDesk } from "../fault/fault.ts";
import type { HistorySink } from "../history/event.ts";
import { INITIATOR_SCRIPTS, login, prepareInitiator } from "../iscsi/initiator.ts";
import { multipathTable } from "../iscsi/multipath.ts";
import { answerWithinMs, iscsidConf, logoutWithinMs, noticeMs, shortestNoopMs } from "../iscsi/parameters.ts";
import { requireQueuePairs } from "../iscsi/queue-pair.ts";
import { startTarget, TARGET_SCRIPTS } from "../iscsi/target.ts";
import { Watch } from "../iscsi/watch.ts";
import type { Lab } from "../lab/lab.ts";
import type { Node } from "../lab/node.ts";
import { armWitness } from "../witness/arm.ts";
import { WITNESS_PARTS } from "../witness/probes.ts";
import { Ledger } from "../workload/ledger.ts";
import type { Bench } from "./controls.ts";
import { deviceSpecs, mapsOf } from "./devices.ts";
import { Instruments, requireInstruments } from "./instruments.ts";
import type { Scenario } from "./scenario.ts";
import { openDevices, SERVE, serveDevices } from "./serve.ts";

/** What is known of a lab whose target, sessions and device are ready. It goes into a snapshot beside the guests' state. */
export const configuredSchema = z.strictObject({
  sessions: z.array(
    z.strictObject({
      path: z.enum(PATH_NAMES),
      sid: z.string(),
      disks: z.array(z.strictObject({ lun: z.number(), name: z.string(), dev: z.string(), sectors: z.number() })),
      values: z.record(z.string(), z.string()),
    }),
  ),
  /** The target's parameters, as read back. */
  target: z.record(z.string(), z.string()),
});
export type Configured = z.infer<typeof configuredSchema>;

/** Everything by which two scenarios' labs may differ once they are configured. */
export const setUpParts = ({ lab, timing, session }: Scenario): readonly string[] => [
  JSON.stringify({ lab, timing, session }),
  ...TARGET_SCRIPTS,
  ...INITIATOR_SCRIPTS,
  iscsidConf(timing, session),
  multipathTable(PATH_NAMES.map((_, index) => ({ sectors: 1, dev: `8:${index}` }))),
  SERVE,
  ...WITNESS_PARTS,
];

type Step = <T>(text: string, work: Promise<T>) => Promise<T>;

const stepOf =
  (sink: HistorySink): Step =>
  async (text, work) => {
    sink.record({ kind: "step", text, edge: "begin" });
    const result = await work;
    sink.record({ kind: "step", text, edge: "end" });
    return result;
  };

/**
 * Sets up a lab while it boots: each node as soon as it is there, and what needs both when both are. `done` is everything that
 * lies between a booted lab and one whose device can be opened.
 */
export const configureLab = (
  scenario: Scenario,
  sink: HistorySink,
  signal: AbortSignal,
): { onNode: (node: Node) => void; done: (lab: Lab) => Promise<Configured> } => {
  const { timing, session } = scenario;
  const { transport } = scenario.lab;
  const step = stepOf(sink);
  const target = Promise.withResolvers<Record<string, string>>();
  const initiator = Promise.withResolvers<undefined>();
  let armed: Promise<string | undefined> | undefined;
  // Where the boot fails nobody asks for them.
  for (const { promise } of [target, initiator]) promise.catch(() => undefined);
  return {
    onNode: node => {
      if (node.name === "target") {
        const started = startTarget(node, timing, session, transport, scenario.lab, signal);
        step("set up the target", started).then(target.resolve, target.reject);
        // While the initiator logs in.
        armed = started.then(() => armWitness(node.agent, signal));
        armed.catch(() => undefined);
      } else
        step("start iscsid", prepareInitiator(node, timing, session, transport, signal)).then(
          () => initiator.resolve(undefined),
          initiator.reject,
        );
    },
    done: async lab => {
      const { initiator: node } = lab.nodes;
      const [targetValues] = await Promise.all([target.promise, initiator.promise]);
      const loggingIn = login(node, timing, session, transport, scenario.lab, signal);
      const sessions = await step("log in over both paths", loggingIn);
      const devices = deviceSpecs(scenario.lab, sessions);
      const what = devices.some(({ table }) => table !== undefined)
        ? "join the paths by dm-multipath and serve"
        : "serve";
      await step(`${what} the device by NBD`, serveDevices(node, devices, signal));
      const deaf = await armed;
      if (deaf !== undefined)
        sink.record({ kind: "note", text: `The target's kernel will not tell all it does: ${deaf}` });
      return {
        sessions: sessions.map(one => ({ ...one, disks: [...one.disks], values: { ...one.values } })),
        target: targetValues,
      };
    },
  };
};

export interface BenchRequest {
  readonly lab: Lab;
  readonly configured: Configured;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly sink: HistorySink;
  /** Tells this cell's data from every other cell's. */
  readonly identity: string;
  readonly scale: number;
  readonly signal: AbortSignal;
  readonly scope: Scope;
}

/** Opens the devices of a configured lab and begins to watch: all that a timeline needs. */
export const openBench = async (request: BenchRequest): Promise<Bench> => {
  const { lab, scenario, sink, signal, scope } = request;
  const { sessions } = request.configured;
  const { target, initiator } = lab.nodes;
  const step = stepOf(sink);
  const paths = new Map(sessions.flatMap(({ disks, path }) => disks.map(({ dev }) => [dev, path] as const)));
  const maps = mapsOf(scenario.lab);
  const watch = new Watch(sink, paths, maps);
  const opening = openDevices(request);
  scope.defer("watch", () => watch[Symbol.asyncDispose]());
  const [devices] = await Promise.all([
    step("open the device by NBD", opening),
    step("watch sessions and sockets", watch.start([initiator, target], signal)),
  ]);
  await requireInstruments(initiator, scenario.needs.instruments, signal);
  if (maps.length > 0)
    await watch.until(
      ({ multipath }) => PATH_NAMES.every(path => multipath.get(path) === "active"),
      "both paths to be active in dm-multipath",
      10_000,
      signal,
    );
  // The first look told all of them. A session that is lost before anything was broken would be taken for the kernel's doing.
  const lost = [...watch.state.sessions.values()].filter(({ state }) => state !== "LOGGED_IN");
  if (lost.length > 0 || watch.state.sessions.size !== sessions.length) {
    const seen = lost.map(({ path, state }) => `that of path ${path} is ${state}`).join(", ");
    throw new RigError(
      "RIG_ISCSI_SETUP",
      `Expected ${sessions.length} sessions that are logged in before the timeline begins; there are ${watch.state.sessions.size}${seen === "" ? "" : `, and ${seen}`}. Run it again when the machine has less to do.`,
    );
  }
  if (scenario.lab.transport === "iser") requireQueuePairs(watch.state.queuePairs.values());
  const limit = answerWithinMs(scenario.timing, request.scale, lab.bay.host.accelerator.factor);
  const noopMs = shortestNoopMs(scenario.timing);
  sink.record({
    kind: "limits",
    answerWithinMs: limit.ms,
    why: limit.why,
    noticeMs: noticeMs(scenario.timing),
    replacementMs: scenario.timing.replacementTimeout * 1000,
    // The table is the rig's own (multipathTable).
    queues: true,
    ...(noopMs === undefined ? {} : { noopMs }),
  });
  const ledger = new Ledger({
    shape: scenario.ledger,
    devices,
    sink,
    identity: request.identity,
    seed: request.seed,
    signal,
  });
  scope.defer("ledger", () => ledger.close());
  const desk = new FaultDesk(sink);
  const { seed, scale } = request;
  return {
    lab,
    watch,
    devices,
    ledger,
    desk,
    sink,
    seed,
    scale,
    signal,
    sessions,
    answerWithinMs: limit.ms,
    logoutWithinMs: logoutWithinMs(scenario.timing, scale),
    loggedOut: new Set(),
    instruments: new Instruments(initiator, sink, signal),
  };
};
