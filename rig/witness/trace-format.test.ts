import { describe, expect, test } from "vitest";
import { recordedFormats } from "./testdata/recorded.ts";
import { fieldOf, parseTraceFormat } from "./trace-format.ts";

describe("an event's format", () => {
  test("tells its number and where its fields are", () => {
    const format = parseTraceFormat(recordedFormats("debian-5.10").get("target_cmd_complete") ?? "");
    expect(format?.id).toBe(1284);
    expect(format?.fields.get("scsi_status")).toEqual({ offset: 37, size: 1 });
    expect(format?.fields.get("cdb")).toEqual({ offset: 39, size: 32 });
    expect(format?.fields.get("common_pid")).toEqual({ offset: 4, size: 4 });
  });

  test("that names no event is none", () => {
    expect(parseTraceFormat("")).toBeUndefined();
    expect(parseTraceFormat("ID: twelve\n\0\0")).toBeUndefined();
  });

  test("gives no field that lies outside of a record", () => {
    const format = parseTraceFormat("name: x\nID: 3\n\tfield:u64 cmd;\toffset:8;\tsize:8;\tsigned:0;\n");
    if (format === undefined) throw new Error("a format was expected");
    expect(fieldOf(format, Buffer.alloc(16), "cmd")).toHaveLength(8);
    expect(fieldOf(format, Buffer.alloc(15), "cmd")).toBeUndefined();
    expect(fieldOf(format, Buffer.alloc(16), "conn")).toBeUndefined();
  });
});
