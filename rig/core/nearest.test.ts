import { expect, test } from "vitest";
import { editDistance, suggestion } from "./nearest.ts";

test.each([
  ["", "", 0],
  ["abc", "", 3],
  ["", "abc", 3],
  ["kitten", "sitting", 3],
  ["same", "same", 0],
  ["ab", "ba", 2],
])("from %j to %j it is %i", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test.each([
  ["debian-6.2", ["debian-6.1", "debian-5.10"], "Did you mean debian-6.1?"],
  ["DEBIAN-6.1", ["debian-6.1"], "Did you mean debian-6.1?"],
  ["stale-wirte", ["recovery/stale-write", "digest/flip"], "Did you mean recovery/stale-write?"],
  ["recovery/stale-write2", ["recovery/stale-write"], "Did you mean recovery/stale-write?"],
  ["fedora", ["debian-6.1", "debian-5.10"], "There are: debian-6.1, debian-5.10."],
  ["anything", [], "There are none."],
])("%s", (given, known, words) => {
  expect(suggestion(given, known)).toBe(words);
});

test("a megabyte of a name is no trouble", () => {
  expect(suggestion("x".repeat(1e6), ["debian-6.1"])).toBe("There are: debian-6.1.");
});
