import { describe, expect, test } from "vitest";
import type { Unstamped } from "../../history/event.ts";
import { type Counted, Inventory, initiatorNames, isOdd } from "./inventory.ts";

const CLASS = "/sys/class/iscsi_";
const PATHS = [
  ...["session/session1", "connection/connection1:0", "host/host2"].map(rest => `${CLASS}${rest}`),
  ...["host/host3", "endpoint/ep-4", "host/host2/device/session1"].map(rest => `${CLASS}${rest}`),
];

test("names are those of the classes, a host's with its session's", () => {
  expect(initiatorNames(PATHS)).toEqual({
    session: ["session1"],
    connection: ["connection1:0"],
    host: ["host2 session1", "host3"],
    endpoint: ["ep-4"],
  });
  expect(initiatorNames([])).toEqual({ session: [], connection: [], host: [], endpoint: [] });
});

describe("what does not fit together", () => {
  const now = (initiator: object, target: object = {}) => ({ initiator, target });
  const before = now(
    { session: ["session1"], socket: ["a x ESTABLISHED"], endpoint: [] },
    { "target-session": ["1 of 1"], socket: ["a x ESTABLISHED"] },
  );

  test.each([
    ["nothing", before, false],
    ["a host without a session", now({ session: ["session1"], host: ["host2"] }), true],
    ["a connection without its session", now({ session: ["session1"], connection: ["connection2:0"] }), true],
    ["a target's session too many", now({ session: [] }, { "target-session": ["1 of 1"] }), true],
    ["a socket more", now({ session: ["session1"], socket: ["a x ESTABLISHED", "a y CLOSE-WAIT"] }), true],
    [
      "a socket that TCP is about to be done with",
      now({ session: ["session1"], socket: ["a x ESTABLISHED", "a y TIME-WAIT"] }),
      false,
    ],
    ["a session less", now({ session: [] }), false],
  ])("%s", (_name, found, odd) => {
    expect(isOdd(found, before)).toBe(odd);
  });
});

/** A lab whose sysfs is what the looks say, one after the other, the last one for ever. */
const labOf = (looks: readonly (readonly string[])[], sessions = "1\n") => {
  const events: Unstamped[] = [];
  let at = 0;
  const agent = {
    list: () => Promise.resolve(looks[Math.min(at++, looks.length - 1)] ?? []),
    call: () => Promise.resolve(Buffer.from(sessions).toString("base64")),
  };
  const counted = {
    lab: { nodes: { target: { agent }, initiator: { agent } } },
    watch: {
      state: {
        ...{ sessions: new Map(), queuePairs: new Map(), multipath: new Map(), iscsid: 1 },
        sockets: new Map([
          [
            "initiator 10.1.0.3:4 10.1.0.2:3260",
            { node: "initiator", path: "a", local: "", state: "ESTABLISHED", orphan: false },
          ],
          [
            "initiator 10.1.0.3:5 10.1.0.2:3260",
            { node: "initiator", path: "a", local: "", state: "FIN-WAIT-1", orphan: true },
          ],
        ]),
      },
    },
    sink: { record: (event: Unstamped) => void events.push(event) },
    scale: 0.1,
    signal: new AbortController().signal,
  } as unknown as Counted;
  const names = (when: string, thing: string) =>
    events.flatMap(event =>
      event.kind === "inventory" && event.when === when && event.thing === thing ? event.names : [],
    );
  return { inventory: new Inventory(counted), events, names, looks: () => at };
};

const ALONE = [`${CLASS}session/session1`, `${CLASS}host/host2`, `${CLASS}host/host2/device/session1`];

describe("an inventory", () => {
  test("is taken at once where all is well", async () => {
    const { inventory, names, looks } = labOf([ALONE]);
    await inventory.begin();
    await inventory.end();
    expect(looks()).toBe(2);
    expect(names("begin", "session")).toEqual(["session1"]);
    expect(names("end", "target-session")).toEqual(["1 of 1"]);
    expect(names("end", "socket")).toEqual(["a 10.1.0.3:4-10.1.0.2:3260 ESTABLISHED"]);
  });

  test("waits for what is on its way out", async () => {
    const { inventory, names, looks } = labOf([ALONE, [...ALONE, `${CLASS}host/host9`], ALONE]);
    await inventory.begin();
    await inventory.end();
    expect(looks()).toBe(3);
    expect(names("end", "host")).toEqual(["host2 session1"]);
  });

  test("but not for ever", async () => {
    const { inventory, names } = labOf([ALONE, [...ALONE, `${CLASS}host/host9`]]);
    await inventory.begin();
    await inventory.end();
    expect(names("end", "host")).toEqual(["host2 session1", "host9"]);
  });

  test("that cannot be taken is a note, and no error", async () => {
    const { inventory, events } = labOf([ALONE], "nonsense");
    await inventory.begin();
    expect(events).toMatchObject([{ kind: "note" }]);
    expect(JSON.stringify(events)).toContain("the target's number of sessions is");
  });
});
