/** Histories of which every line can be believed, and yet something is missing, or there is more than there can be. */
import { describe, expect, test } from "vitest";
import { SECTION_LINES } from "./compact.ts";
import { historyText } from "./encode.ts";
import type { History, HistoryEvent } from "./event.ts";
import { HistoryParser } from "./parse.ts";
import { HEADER } from "./testdata/histories.ts";

const read = (text: string): History => {
  const parser = new HistoryParser("h");
  parser.add(Buffer.from(text));
  return parser.finish();
};
const readLines = (...all: readonly string[]) => read(`${all.join("\n")}\n`);

describe("a file", () => {
  test("without a whole section is damaged, though it was cut as well", () => {
    const invoke = (op: number): HistoryEvent => ({
      ...{ t: op * 10, kind: "invoke", op, action: "write", via: "initiator" },
      ...{ sector: 8 * op, sectors: 8 },
    });
    const all = Array.from({ length: 3 * SECTION_LINES }, (_, index) => invoke(index + 1));
    const sections = historyText(HEADER, all).split(/(?=^\[7,|^\{"kind":"end)/m);
    expect(sections).toHaveLength(5);
    const { damage, truncated } = read(sections.toSpliced(4).toSpliced(2, 1).join(""));
    expect(truncated).toBe(true);
    const problem = "operations 513 to 1024 are missing before this line: the file is not whole";
    expect(damage).toEqual([{ line: 516, problem }]);
    const one = readLines(JSON.stringify(HEADER), "[7,0,2]", "[1,0,8,8]").damage;
    expect(one).toEqual([{ line: 3, problem: expect.stringMatching(/^operation 1 is missing before/) as string }]);
    expect(read(sections.toSpliced(3).join("")).damage).toEqual([]);
  });

  test("with anything after its last line is damaged, with a newline or without", () => {
    const text = historyText(HEADER, [{ t: 5, kind: "note", text: "one" }]);
    for (const more of ["x", "[1,10,64,8]", '{"t":1,"ki', "17"])
      for (const newline of ["", "\n"])
        expect(read(text + more + newline).damage).toEqual([
          { line: 4, problem: "expected nothing after the history's last line" },
        ]);
  });

  test("of numbers far apart costs no memory", () => {
    const apart = Array.from({ length: 20 }, (_, index) => [`[7,1000,${(index + 1) * 60_000}]`, "[1,10,64,8]"]);
    const history = readLines(JSON.stringify(HEADER), ...apart.flat());
    expect(history.operations.count).toBeLessThan(70_000);
    expect(history.damage.length).toBeGreaterThan(0);
  });
});
