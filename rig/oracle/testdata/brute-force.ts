/**
 * The definition of linearizability for one register, taken literally: try every set of optional writes that may have
 * had an effect, and every order that keeps what was over before something else began in front of it. A write may be
 * executed any number of times in its life; an execution that no read sees at once changes nothing and is not tried.
 * Exponential, and written without a thought for the oracle's zones: the two must agree.
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

/** @param latest the last beginning of anything that has had its effect. */
const orderExists = (steps: readonly Step[], value: number, latest: number, all: readonly Step[]): boolean => {
  if (steps.length === 0) return true;
  return steps.some((step, index) => {
    const rest = steps.filter((_, other) => other !== index);
    if (rest.some(other => other.end < step.start)) return false;
    const next = Math.max(latest, step.start);
    if (step.is === "write") return orderExists(rest, step.value, next, all);
    if (step.value === value) return orderExists(rest, value, next, all);
    return all.some(
      again =>
        again.is === "write" &&
        again.value === step.value &&
        again.end >= latest &&
        steps.every(other => other.end >= again.start) &&
        orderExists(rest, step.value, Math.max(next, again.start), all),
    );
  });
};

/** Whether some order of the steps, with some of the optional writes, explains every read. */
export const linearizable = (steps: readonly Step[]): boolean => {
  const optional = steps.filter(step => step.optional);
  const rest = steps.filter(step => !step.optional);
  for (let set = 0; set < 2 ** optional.length; set++) {
    const chosen = optional.filter((_, index) => (set & (1 << index)) !== 0);
    const all = [...rest, ...chosen];
    if (orderExists(all, 0, Number.NEGATIVE_INFINITY, all)) return true;
  }
  return false;
};
