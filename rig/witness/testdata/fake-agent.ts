/** A guest's agent with what was recorded in a lab behind it. */
import { RigError } from "../../core/errors.ts";
import { TRACING } from "../probes.ts";
import { type RecordedLab, recorded, recordedFormats } from "./recorded.ts";

export class FakeAgent {
  readonly written: string[] = [];
  /** Paths that begin so cannot be written or taken. */
  readonly #missing: readonly string[];
  readonly #lab: RecordedLab;
  /** The host's clock when the guest's was zero, in ns. */
  readonly #bornNs: bigint;

  constructor(lab: RecordedLab, missing: readonly string[] = [], bornNs = 0n) {
    this.#lab = lab;
    this.#missing = missing;
    this.#bornNs = bornNs;
  }

  now(): Promise<bigint> {
    return Promise.resolve(process.hrtime.bigint() - this.#bornNs);
  }

  put(path: string, text: string): Promise<void> {
    if (this.#isMissing(path, text)) return this.#refuse(path);
    this.written.push(`${path.replace(`${TRACING}/`, "")} ${text.trim()}`.trim());
    return Promise.resolve();
  }

  take(path: string): Promise<Buffer> {
    if (this.#isMissing(path, "")) return this.#refuse(path);
    if (path.endsWith("/cpu0/trace_pipe_raw")) return Promise.resolve(recorded(`${this.#lab}.ring`));
    const event = /events\/\w+\/(\w+)\/format$/.exec(path)?.[1] ?? "";
    const format = recordedFormats(this.#lab).get(event);
    if (format === undefined && !path.startsWith("/sys/module/")) return this.#refuse(path);
    return Promise.resolve(Buffer.from(format ?? "live\n"));
  }

  #isMissing(path: string, text: string): boolean {
    return this.#missing.some(what => path.includes(what) || text.includes(what));
  }

  #refuse(path: string): Promise<never> {
    return Promise.reject(
      new RigError("RIG_LAB_AGENT", `the target's agent says of ${path}: No such file or directory`),
    );
  }
}
