import { expect, test } from "vitest";
import { cellHref, parseRoute } from "./route.ts";

test("a cell's address is readable and survives odd names", () => {
  expect(cellHref("recovery/stale-write/debian-5.10/1")).toBe("#cell=recovery/stale-write/debian-5.10/1");
  for (const id of ["a/b/c/1", "a & b=c/#1/ü/7", "100%/x/2"])
    expect(parseRoute(cellHref(id, 12))).toEqual({ cell: id, line: 12 });
});

test("an address typed by hand may be nonsense", () => {
  expect(parseRoute("")).toEqual({});
  expect(parseRoute("#cell=%E0%A4%A")).toEqual({});
  expect(parseRoute("#line=-3&cell=x")).toEqual({ cell: "x" });
});
