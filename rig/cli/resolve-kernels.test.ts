import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Log, silentLog } from "../core/log.ts";
import type { Kernel, KernelState } from "../kernel/kernel.ts";
import type { KernelSpec } from "../kernel/spec.ts";
import { resolveKernels } from "./resolve-kernels.ts";

const world = vi.hoisted(() => ({
  told: [] as string[],
  state: (name: string): string => name,
  fail: "",
}));

vi.mock("../kernel/kernel.ts", () => ({
  kernelState: ({ name }: KernelSpec) => Promise.resolve(world.state(name) as KernelState),
  resolveKernel: async ({ name }: KernelSpec): Promise<Kernel> => {
    world.told.push(`begin ${name}`);
    await new Promise(setImmediate);
    if (name === world.fail) throw new Error(`${name} does not build`);
    world.told.push(`end ${name}`);
    return { name } as unknown as Kernel;
  },
}));

const spec = (name: string): KernelSpec => ({ name }) as unknown as KernelSpec;
const log: Log = {
  ...silentLog,
  say: text => void world.told.push(text),
  status: text => void world.told.push(`(${text})`),
};
const { signal } = new AbortController();

beforeEach(() => {
  world.told.length = 0;
  world.state = () => "cached";
  world.fail = "";
});

describe("kernels are made ready", () => {
  test("one after another, each once, with where it is", async () => {
    const kernelOf = await resolveKernels([spec("a"), spec("b"), spec("a")], log, signal);
    expect(world.told).toEqual([
      ...["(kernel 1 of 2: a)", "begin a", "end a"],
      ...["(kernel 2 of 2: b)", "begin b", "end b"],
      "()",
    ]);
    expect([kernelOf(spec("b")).name, kernelOf(spec("a")).name]).toEqual(["b", "a"]);
    expect(() => kernelOf(spec("c"))).toThrow("Expected c among");
  });

  test("and a wait is told before it begins", async () => {
    world.state = name => (name.includes("+") ? "to build" : "to fetch");
    await resolveKernels([spec("a"), spec("b+x"), spec("b+y")], log, signal);
    expect(world.told[0]).toBe(
      "2 of 3 kernels to build: minutes for the first of a source, under one for each variant.",
    );
  });

  test("until one cannot be", async () => {
    world.fail = "a";
    await expect(resolveKernels([spec("a"), spec("b")], log, signal)).rejects.toThrow("a does not build");
    expect(world.told).not.toContain("begin b");
  });

  test("until the user has had enough", async () => {
    await expect(resolveKernels([spec("a")], log, AbortSignal.abort(new Error("Stopped.")))).rejects.toThrow(
      "Stopped.",
    );
    expect(world.told).not.toContain("begin a");
  });

  test("one with which something is wrong first, before anything is built", async () => {
    world.state = name => (name === "typo" ? "cannot" : "to build");
    world.fail = "typo";
    await expect(resolveKernels([spec("a"), spec("typo")], log, signal)).rejects.toThrow("typo does not build");
    expect(world.told.filter(line => /^(begin|end)/.test(line))).toEqual(["begin typo"]);
  });
});
