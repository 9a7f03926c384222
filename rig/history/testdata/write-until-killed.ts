/**
 * Writes a history to the file that it is given, and kills itself in the middle of it. What the file must then hold it has told
 * on its standard output: the operations of a tenth of a second ago. That tenth is told by this process's own timers and file
 * operations, four in a row, so that a machine which gives it no CPU stretches it as it stretches the writer's.
 */
import { stat } from "node:fs/promises";
import { sleep } from "../../core/clock.ts";
import { openHistory } from "../writer.ts";

const [, , file = ""] = process.argv;
const history = await openHistory(file, { run: "r", scenario: "s/t", kernel: "k", seed: 1 });
let op = 0;
const write = (): void => {
  history.record({ kind: "invoke", op: ++op, action: "write", via: "initiator", sector: op * 8, sectors: 8 });
  history.record({ kind: "ok", op });
};
const writeFor = async (steps: number): Promise<void> => {
  for (let step = 0; step < steps; step++) {
    write();
    await sleep(25);
    await stat(file);
  }
};
await writeFor(10);
const promised = op;
await writeFor(4);
process.stdout.write(`${promised} of ${op}\n`, () => process.kill(process.pid, "SIGKILL"));
