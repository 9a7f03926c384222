/**
 * The one error type of the rig. Every error that a user can meet has a code, somebody to blame, and a message that says
 * what was expected, what was seen and what to do next. docs/errors.md lists the codes, and a test holds the two together.
 */

/** Whose fault it is decides the exit status and whether a cell is ERROR or MISS. */
export const BLAMES = ["usage", "environment", "harness", "scenario"] as const;
export type Blame = (typeof BLAMES)[number];

export const ERROR_CODES = {
  RIG_USAGE: "an argument or option that cannot be used",
  RIG_UNKNOWN_KERNEL: "a kernel name that the catalogue does not have",
  RIG_UNKNOWN_SCENARIO: "a scenario name that does not exist",
  RIG_BAD_SCENARIO: "a scenario file that does not load or does not validate",
  RIG_BAD_RESULTS: "a results directory that cannot be read",
  RIG_NOT_ROOT: "the rig needs root for containers and networks",
  RIG_NO_DOCKER: "no Docker daemon answers and none can be started",
  RIG_FILE: "a file or directory could not be read, made or written",
  RIG_NO_SPACE: "a file system is full or nearly full",
  RIG_NO_DEVICE: "a device node that the lab needs is missing",
  RIG_MISSING_PROGRAM: "a program that the rig calls is not installed",
  RIG_IMAGE_BUILD: "a container image or the guest root could not be built",
  RIG_KERNEL_FETCH: "a kernel package could not be fetched or verified",
  RIG_KERNEL_SOURCE: "a kernel source that cannot be used",
  RIG_KERNEL_VARIANT: "a kernel variant that is damaged or does not apply",
  RIG_KERNEL_BUILD: "a kernel could not be configured or compiled",
  RIG_KERNEL_BUNDLE: "a kernel could not be made into a boot bundle",
  RIG_LAB_NETWORK: "a lab network could not be made",
  RIG_LAB_CONTAINER: "a lab container could not be started or ended early",
  RIG_LAB_BOOT: "a node did not boot in time",
  RIG_LAB_EXEC: "a command in a node failed",
  RIG_LAB_SNAPSHOT: "a lab could not be saved or restored",
  RIG_LAB_SSH: "a node's ssh did not answer, or not with the key of this lab",
  RIG_LAB_AGENT: "a guest's agent refused a command, or was lost",
  RIG_QMP: "QEMU refused a command or did not answer",
  RIG_ISCSI_SETUP: "the target or the initiator could not be configured",
  RIG_NO_INSTRUMENT: "a kernel lacks an instrument that the scenario needs",
  RIG_FAULT: "a fault could not be injected or healed",
  RIG_DEADLINE: "something did not happen in the time allowed",
  RIG_INTERRUPTED: "stopped by a signal",
  RIG_NBD: "the connection to the device under test failed",
  RIG_BUG: "a bug in the rig",
} as const;
export type ErrorCode = keyof typeof ERROR_CODES;

export interface RigErrorOptions {
  readonly blame?: Blame;
  readonly cause?: unknown;
  /** Facts for a bug report; printed with --verbose only. */
  readonly context?: Readonly<Record<string, unknown>>;
}

export class RigError extends Error {
  readonly code: ErrorCode;
  readonly blame: Blame;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: RigErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RigError";
    this.code = code;
    this.blame = options.blame ?? "harness";
    this.context = options.context ?? {};
  }
}

/** What the operating system says (ENOENT, EACCES, ENOSPC ...) is about the machine, not a bug: as a RigError, or undefined. */
const fromSystemError = (error: unknown): RigError | undefined => {
  if (!(error instanceof Error)) return undefined;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (typeof code !== "string" || typeof syscall !== "string" || path === undefined) return undefined;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new RigError("RIG_NO_SPACE", `No space left for ${path}. Free some and run the command again.`, {
      blame: "environment",
      cause: error,
    });
  }
  return new RigError(
    "RIG_FILE",
    `${path}: ${syscall} failed (${code}). Look at its owner, its mode and its file system.`,
    {
      blame: "environment",
      cause: error,
    },
  );
};

/** Any error as a RigError; one that nobody foresaw is a bug in the rig. */
export const asRigError = (error: unknown): RigError => {
  if (error instanceof RigError) return error;
  const unforeseen = `This is a bug in the rig: ${messageOf(error)}. Run it with --verbose and report what it prints.`;
  return fromSystemError(error) ?? new RigError("RIG_BUG", unforeseen, { cause: error });
};

/** The exit status of a command that ended with this error: 2 for unusable arguments, 3 for everything the rig could not do. */
export const exitStatusOf = (error: unknown): number => (error instanceof RigError && error.blame === "usage" ? 2 : 3);

/** One line for people: an error's own message, without a stack. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
