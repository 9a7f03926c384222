/** Takes the lock named by the first argument, says so, and holds it until it is killed. */
import { sleep } from "../clock.ts";
import { acquireLock } from "../lock.ts";

await using _lock = await acquireLock(process.argv[2] ?? "");
process.stdout.write("held\n");
await sleep(60_000);
