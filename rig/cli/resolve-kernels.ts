/** Makes kernels ready, one after another: a build takes the whole machine, and its progress is to be read. */
import { RigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type Kernel, kernelState, resolveKernel } from "../kernel/kernel.ts";
import type { KernelSpec } from "../kernel/spec.ts";

/** Says that there will be a wait, before there is one. Returns the kernels, those first with which something is wrong. */
const sayBuilds = async (specs: readonly KernelSpec[], log: Log): Promise<readonly KernelSpec[]> => {
  const states = await Promise.all(specs.map(spec => kernelState(spec)));
  const builds = states.filter(state => state === "to build").length;
  const wrong = specs.filter((_, i) => states[i] === "cannot");
  if (wrong.length === 0 && builds > 0)
    log.say(
      `${builds} of ${specs.length} kernels to build: minutes for the first of a source, under one for each variant.`,
    );
  return [...wrong, ...specs.filter(spec => !wrong.includes(spec))];
};

/** Resolves each kernel once, however often it is asked for, and returns where to find it. */
export const resolveKernels = async (
  specs: readonly KernelSpec[],
  log: Log,
  signal: AbortSignal,
): Promise<(spec: KernelSpec) => Kernel> => {
  // A mistake is told at once, and not behind the minutes that another kernel takes.
  const each = await sayBuilds([...new Map(specs.map(spec => [spec.name, spec])).values()], log);
  const ready = new Map<string, Kernel>();
  for (const [i, spec] of each.entries()) {
    signal.throwIfAborted();
    log.status(`kernel ${i + 1} of ${each.length}: ${spec.name}`);
    ready.set(spec.name, await resolveKernel(spec, log, { signal }));
  }
  log.status("");
  return spec => {
    const kernel = ready.get(spec.name);
    if (kernel === undefined) throw new RigError("RIG_BUG", `Expected ${spec.name} among the kernels made ready.`);
    return kernel;
  };
};
