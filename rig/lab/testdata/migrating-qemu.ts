/** A stand-in for a QEMU that moves its state, for tests of snapshots. */
import { RigError } from "../../core/errors.ts";
import type { Qmp, QmpEvent } from "../qmp.ts";

export interface MigrationFakes {
  /** What QEMU says of a migration, in order; nothing more comes. */
  readonly statuses?: readonly string[];
  readonly refuses?: Readonly<Record<string, string>>;
  /** What query-migrate answers. */
  readonly answer?: unknown;
  /** QEMU dies while it waits for this. */
  readonly dies?: boolean;
}

/** A QEMU that moves its state as told, and remembers what it was asked. */
export const migratingQemu = (fakes: MigrationFakes = {}, asked: string[] = [], name = "") => {
  const { statuses = ["setup", "active", "completed"], refuses = {}, answer = {} } = fakes;
  const seen: { wanted: (event: QmpEvent) => boolean; resolve: (event: QmpEvent) => void }[] = [];
  const execute = (command: string, args: Readonly<Record<string, unknown>> = {}) => {
    asked.push(`${name}${command} ${JSON.stringify(args)}`);
    const refusal = refuses[command];
    if (refusal !== undefined) return Promise.reject(new RigError("RIG_QMP", `QEMU refused ${command}: ${refusal}`));
    if (command.startsWith("migrate") && "uri" in args) {
      const events: QmpEvent[] = [
        { event: "STOP" },
        ...statuses.map(status => ({ event: "MIGRATION", data: { status } })),
      ];
      for (const event of events) for (const { wanted, resolve } of seen) if (wanted(event)) resolve(event);
    }
    return Promise.resolve(command === "query-migrate" ? answer : {});
  };
  const event = (wanted: (event: QmpEvent) => boolean, _withinMs: number, expected: string): Promise<QmpEvent> => {
    if (fakes.dies === true)
      return Promise.reject(new RigError("RIG_QMP", `QEMU closed the connection; waited for ${expected}.`));
    const { promise, resolve } = Promise.withResolvers<QmpEvent>();
    seen.push({ wanted, resolve });
    return promise;
  };
  return { qmp: { execute, event } as unknown as Qmp, asked };
};

/** What QEMU is asked before its state is moved. */
export const CAPABILITIES =
  'migrate-set-capabilities {"capabilities":[{"capability":"x-ignore-shared","state":true},{"capability":"events","state":true}]}';
