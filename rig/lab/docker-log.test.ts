import { expect, test } from "vitest";
import { demuxLog } from "./docker-log.ts";

const piece = (stream: number, text: string): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(text.length, 4);
  return Buffer.concat([header, Buffer.from(text, "latin1")]);
};

test("pieces of both streams come together, in order, as clean lines", () => {
  const raw = Buffer.concat([
    piece(1, "qemu: st"),
    piece(1, "arting\n"),
    piece(2, "\u001b[31merror\u001b[0m\r\n\n"),
    piece(1, "end"),
  ]);
  expect(demuxLog(raw)).toEqual(["qemu: starting", "error", "end"]);
});

test("what is cut off or no log at all does no harm", () => {
  expect(demuxLog(Buffer.alloc(0))).toEqual([]);
  expect(demuxLog(Buffer.from("short"))).toEqual([]);
  expect(demuxLog(piece(1, "whole\nhalf").subarray(0, -2))).toEqual(["whole", "ha"]);
  expect(demuxLog(Buffer.alloc(64, 0xff))).toHaveLength(1);
});
