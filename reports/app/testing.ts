/** The fixture's history as the page meets it, for tests of what the page makes of it. */
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { type StaleWriteOptions, staleWrite } from "../../rig/report/testdata/stale-write.ts";
import { operationsOf } from "./operations.ts";

export const cellFixture = (o: Partial<StaleWriteOptions> = {}) => {
  const { events: plain, findings } = staleWrite({ kernel: "debian-5.10", seed: 1, broken: true, ...o });
  const events = plain.map((event, i): NumberedEvent => [i + 2, event]);
  return { events, findings, operations: operationsOf(events) };
};
