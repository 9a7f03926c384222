import { expect, test } from "vitest";
import { stampWrite } from "../workload/stamp.ts";
import { guessAt } from "./integrity-guess.ts";

const words = (...values: bigint[]): string => {
  const bytes = Buffer.alloc(64);
  values.forEach((value, index) => bytes.writeBigUInt64LE(value, index * 8));
  return bytes.toString("hex");
};
const shifted = Buffer.concat([Buffer.from([1, 2, 3, 4]), stampWrite({ run: 1n, op: 1, sector: 0, sectors: 1 })]);

test.each([
  ["00".repeat(64), "begin with zeros"],
  ["6b".repeat(64), "repeat the byte 0x6b"],
  [words(0xffff888012345678n, 1n, 0xffffffff81000000n), "2 words like kernel addresses (0xffff888012345678)"],
  [Buffer.from("root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/bin/nologin").toString("hex"), '"root:x:0:0:'],
  [shifted.toString("hex", 0, 64), "stamp of the ledger begins at byte 4"],
])("%s", (head, guess) => {
  expect(guessAt(head)).toContain(guess);
});

test("nothing is guessed where there is nothing to see", () => {
  expect(guessAt("")).toBeUndefined();
  expect(guessAt(words(0x1234567890abcden, 0xffff888012345678n))).toBeUndefined();
  expect(guessAt(words(0xffffffffffffffffn, 0xfffffffffffffff0n, 5n))).toBeUndefined();
});
