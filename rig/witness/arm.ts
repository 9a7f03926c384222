/**
 * The second witness's ear in the target: a ring in the kernel's memory that is filled as commands come and read once, at the
 * end. It is put up when the target has been configured, so it is part of a snapshot, and costs a cell nothing. A kernel that
 * cannot have it is no less a kernel: what is missing is remembered and said by the witness, and nothing fails.
 */
import { messageOf } from "../core/errors.ts";
import type { GuestAgent } from "../lab/guest-agent.ts";
import { ESSENTIAL, PROBES, type ProbeName, probeEvent, probeLine, RING_KIB, TRACEPOINTS, TRACING } from "./probes.ts";

type Hands = Pick<GuestAgent, "put" | "take">;

const WITHIN_MS = 30_000;

/** Whether a part of the kernel is a module, so that its symbols are found by the module's name. */
const isModule = async (agent: Hands, name: string, signal: AbortSignal): Promise<boolean> => {
  try {
    await agent.take(`/sys/module/${name}/initstate`, 100, { signal });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
};

/** Has the target's kernel remember the commands that it meets. Returns what it cannot; undefined if nothing. */
export const armWitness = async (agent: Hands, signal: AbortSignal): Promise<string | undefined> => {
  const options = { timeoutMs: WITHIN_MS, signal };
  const put = (file: string, text: string) => agent.put(`${TRACING}/${file}`, text, options);
  const attempt = async (work: Promise<void>): Promise<string | undefined> => {
    try {
      await work;
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      return messageOf(error);
    }
  };
  const failed = await attempt(
    Promise.all([put("tracing_on", "0\n"), put("trace_clock", "mono\n"), put("buffer_size_kb", `${RING_KIB}\n`)]).then(
      () => undefined,
    ),
  );
  if (failed !== undefined) return failed;
  const modules = await isModule(agent, "iscsi_target_mod", signal);
  const enable = (event: string) => put(`events/${event}/enable`, "1\n");
  const problems = new Map<ProbeName, string>();
  for (const probe of PROBES) {
    const why = await attempt(
      put("kprobe_events", probeLine(probe, modules)).then(() => enable(probeEvent(probe.name))),
    );
    if (why !== undefined) problems.set(probe.name, why);
  }
  const withProbes = !ESSENTIAL.some(name => problems.has(name));
  const tracepoints = withProbes
    ? // GOOD is what it is when nothing is said.
      put(`events/${TRACEPOINTS.complete}/filter`, "scsi_status != 0\n").then(() => enable(TRACEPOINTS.complete))
    : Promise.all(Object.values(TRACEPOINTS).map(enable)).then(() => undefined);
  const without = await attempt(tracepoints);
  const on = await attempt(put("tracing_on", "1\n"));
  return on ?? without ?? [...problems.values()][0];
};
