/** Turns a booted lab into one that a timeline can work on: target, sessions, multipath, NBD, ledger, watch. */
import { PATH_NAMES } from "../core/names.ts";
import type { Scope } from "../core/scope.ts";
import { FaultDesk } from "../fault/fault.ts";
import type { HistorySink } from "../history/event.ts";
import { login, prepareInitiator } from "../iscsi/initiator.ts";
import { createMultipath, MULTIPATH_NAME } from "../iscsi/multipath.ts";
import { answerWithinMs } from "../iscsi/parameters.ts";
import { startTarget } from "../iscsi/target.ts";
import { Watch } from "../iscsi/watch.ts";
import type { Lab } from "../lab/lab.ts";
import { type Node, script } from "../lab/node.ts";
import { NBD_PORT } from "../lab/qemu-argv.ts";
import { Ledger } from "../workload/ledger.ts";
import { NbdClient } from "../workload/nbd.ts";
import type { Bench } from "./controls.ts";
import type { Scenario } from "./scenario.ts";

const EXPORT = "rig";

/**
 * $1 port, $2 export name, $3 device. Without a page cache: an answer means that the device under test answered. With the
 * two malloc settings every request has memory of its own, given back whole when it is answered: what a dead command still points to
 * is then what it was to write, not whatever the allocator put there next.
 */
const SERVE = `
MALLOC_MMAP_THRESHOLD_=4096 MALLOC_TOP_PAD_=0 qemu-nbd --fork --persistent --shared=8 --cache=none --aio=native --format=raw --bind=0.0.0.0 --port="$1" --export-name="$2" "$3"
`;

const serveDevice = async (node: Node, signal: AbortSignal): Promise<NbdClient> => {
  await script(node, SERVE, [String(NBD_PORT), EXPORT, `/dev/mapper/${MULTIPATH_NAME}`], { signal });
  return NbdClient.connect(node.address, NBD_PORT, EXPORT, 10_000, signal);
};

export interface BenchRequest {
  readonly lab: Lab;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly sink: HistorySink;
  /** Tells this cell's data from every other cell's. */
  readonly identity: string;
  readonly scale: number;
  readonly signal: AbortSignal;
  readonly scope: Scope;
}

export interface ReadyBench extends Bench {
  readonly target: Readonly<Record<string, string>>;
}

/** Everything that lies between a booted lab and the first step of a timeline. */
export const prepareBench = async (request: BenchRequest): Promise<ReadyBench> => {
  const { lab, scenario, sink, signal, scope } = request;
  const { timing, session } = scenario;
  const { target, initiator } = lab.nodes;
  const step = async <T>(text: string, work: Promise<T>): Promise<T> => {
    sink.record({ kind: "step", text, edge: "begin" });
    const result = await work;
    sink.record({ kind: "step", text, edge: "end" });
    return result;
  };
  const [targetValues] = await Promise.all([
    step("set up the target", startTarget(target, timing, session, signal)),
    step("start iscsid", prepareInitiator(initiator, timing, session, signal)),
  ]);
  const sessions = await step("log in over both paths", login(initiator, timing, session, signal));
  await step("join the paths by dm-multipath", createMultipath(initiator, sessions, signal));
  const devices = new Map(sessions.map(({ dev, path }) => [dev, path]));
  const [nbd, watch] = await Promise.all([
    step("serve the device by NBD", serveDevice(initiator, signal)),
    step("watch sessions and sockets", Watch.start([initiator, target], devices, sink, signal)),
  ]);
  scope.defer("watch", () => watch[Symbol.asyncDispose]());
  await watch.until(
    ({ multipath }) => PATH_NAMES.every(path => multipath.get(path) === "active"),
    "both paths to be active in dm-multipath",
    10_000,
    signal,
  );
  const limit = answerWithinMs(timing, request.scale);
  sink.record({ kind: "limits", answerWithinMs: limit.ms, why: limit.why });
  const ledger = new Ledger({
    shape: scenario.ledger,
    nbd,
    backing: lab.backing,
    sink,
    identity: request.identity,
    signal,
  });
  scope.defer("NBD client", () => ledger.close());
  const desk = new FaultDesk(sink);
  return {
    lab,
    watch,
    ledger,
    desk,
    sink,
    seed: request.seed,
    answerWithinMs: limit.ms,
    scale: request.scale,
    signal,
    sessions,
    target: targetValues,
  };
};
