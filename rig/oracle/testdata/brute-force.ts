/**
 * The definition of linearizability for one register, taken literally: try every set of optional writes that may have
 * had an effect, and every order that keeps what was over before something else began in front of it. Exponential, and
 * written without a thought for the oracle's zones: the two must agree.
 */

export interface Step {
  readonly is: "write" | "read";
  /** The value written or read; 0 is what was there first. */
  readonly value: number;
  readonly start: number;
  /** Infinity where never answered. */
  readonly end: number;
  /** A write that may have had no effect. */
  readonly optional: boolean;
}

const orderExists = (steps: readonly Step[], value: number): boolean => {
  if (steps.length === 0) return true;
  return steps.some((step, index) => {
    const rest = steps.filter((_, other) => other !== index);
    if (rest.some(other => other.end < step.start)) return false;
    if (step.is === "read" && step.value !== value) return false;
    return orderExists(rest, step.is === "write" ? step.value : value);
  });
};

/** Whether some order of the steps, with some of the optional writes, explains every read. */
export const linearizable = (steps: readonly Step[]): boolean => {
  const optional = steps.filter(step => step.optional);
  const rest = steps.filter(step => !step.optional);
  for (let set = 0; set < 2 ** optional.length; set++) {
    const chosen = optional.filter((_, index) => (set & (1 << index)) !== 0);
    if (orderExists([...rest, ...chosen], 0)) return true;
  }
  return false;
};
