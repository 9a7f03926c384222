import { existsSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { cacheDir, labsDir, PROJECT_DIR } from "./paths.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("the project is where its package.json is", () => {
  expect(existsSync(path.join(PROJECT_DIR, "package.json"))).toBe(true);
});

test("the cache is where the user keeps caches; a relative directory does not count (XDG base directories)", () => {
  vi.stubEnv("HOME", "/home/u");
  vi.stubEnv("XDG_CACHE_HOME", "/big/cache");
  expect(cacheDir()).toBe("/big/cache/iscsi-rig");
  vi.stubEnv("XDG_CACHE_HOME", "cache");
  expect(cacheDir()).toBe("/home/u/.cache/iscsi-rig");
  vi.stubEnv("XDG_CACHE_HOME", undefined);
  expect(cacheDir()).toBe("/home/u/.cache/iscsi-rig");
});

test("labs live in a place of the user's choice", () => {
  vi.stubEnv("RIG_LABS_DIR", "/labs");
  expect(labsDir()).toBe("/labs");
  vi.stubEnv("RIG_LABS_DIR", undefined);
  expect(labsDir().length).toBeLessThan(60);
});
