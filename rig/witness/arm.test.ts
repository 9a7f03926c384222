import { describe, expect, test } from "vitest";
import { armWitness } from "./arm.ts";
import { FakeAgent } from "./testdata/fake-agent.ts";

const { signal } = new AbortController();

describe("the witness", () => {
  test("listens at the probes, and has failures alone from the tracepoint", async () => {
    const agent = new FakeAgent("debian-5.10");
    expect(await armWitness(agent, signal)).toBeUndefined();
    expect(agent.written).toContain("trace_clock mono");
    expect(agent.written).toContain("kprobe_events p:rig/execute target_core_mod:__target_execute_cmd cmd=%di:x64");
    expect(agent.written).toContain("events/target/target_cmd_complete/filter scsi_status != 0");
    expect(agent.written).not.toContain("events/target/target_sequencer_start/enable 1");
    expect(agent.written.at(-1)).toBe("tracing_on 1");
  });

  test("names no module where LIO is built in", async () => {
    const agent = new FakeAgent("debian-5.10", ["/sys/module/"]);
    expect(await armWitness(agent, signal)).toBeUndefined();
    expect(agent.written).toContain("kprobe_events p:rig/execute __target_execute_cmd cmd=%di:x64");
  });

  test("makes do with LIO's tracepoints on a kernel without probes, and says so", async () => {
    const agent = new FakeAgent("debian-5.10", ["kprobe_events"]);
    expect(await armWitness(agent, signal)).toContain("kprobe_events: No such file");
    expect(agent.written).toContain("events/target/target_sequencer_start/enable 1");
    expect(agent.written).toContain("events/target/target_cmd_complete/enable 1");
    expect(agent.written).not.toContain("events/target/target_cmd_complete/filter scsi_status != 0");
  });

  test("goes without what is of little use", async () => {
    const agent = new FakeAgent("debian-5.10", ["lio_queue_data_in"]);
    expect(await armWitness(agent, signal)).toContain("kprobe_events");
    expect(agent.written).toContain("events/rig/close/enable 1");
    expect(agent.written).not.toContain("events/target/target_sequencer_start/enable 1");
  });

  test("says that a kernel cannot trace at all, and fails nothing", async () => {
    expect(await armWitness(new FakeAgent("debian-5.10", ["/tracing/"]), signal)).toContain("tracing_on: No such file");
  });

  test("does not hide that the cell was stopped", async () => {
    await expect(
      armWitness(new FakeAgent("debian-5.10", ["/tracing/"]), AbortSignal.abort(new Error("stop"))),
    ).rejects.toThrow("stop");
  });
});
