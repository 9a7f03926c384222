import { describe, expect, test } from "vitest";
import { compactText, find, readC } from "./c-source.ts";

const names = (text: string): readonly string[] => readC(text).functions.map(({ name }) => name);
const body = (text: string, name = "f"): string | undefined =>
  readC(text).functions.find(one => one.name === name)?.text;

describe("the functions of a file", () => {
  test.each<[string, string, readonly string[]]>([
    ["one", "int f(void)\n{\n\treturn 0;\n}\n", ["f"]],
    ["one on a line", "static inline void f(void) { }\nvoid g(void) {}\n", ["f", "g"]],
    [
      "a type on a line of its own",
      "static struct iscsi_cls_conn *\niscsi_find(int a,\n\t   int b)\n{\n}",
      ["iscsi_find"],
    ],
    ["a pointer to a function among the parameters", "int f(int (*cb)(void *), void *data)\n{\n}", ["f"]],
    ["annotations behind the parameters", "int f(int a)\n\t__must_hold(&session->lock)\n\t__releases(x)\n{\n}", ["f"]],
    ["an attribute in front", "static __printf(1, 2) int f(const char *fmt, ...)\n{\n}", ["f"]],
    ["a name that begins as annotations do", "static void __iscsi_unblock(struct work *w)\n{\n}", ["__iscsi_unblock"]],
    ["macros used between functions", "void f(void)\n{\n}\nEXPORT_SYMBOL_GPL(f);\n\nvoid g(void)\n{\n}\n", ["f", "g"]],
    ["a macro without a semicolon in front", "DEFINE_THING(a, b)\nstatic int f(void)\n{\n}", ["f"]],
    ["prototypes", "int f(void);\nint g(void);\nint h(void)\n{\n}", ["h"]],
    ["an initialiser", "static struct ops o = {\n\t.run = run(1),\n};\nint f(void)\n{\n}", ["f"]],
    ["a struct and an enum", "struct s {\n\tint (*f)(void);\n};\nenum e { A, B };\nint f(void)\n{\n}", ["f"]],
    ["an array of structs", "static struct s all[] = { { 1 }, { f(2) } };\nint g(void)\n{\n}", ["g"]],
    ["blocks within", "int f(void)\n{\n\tif (a) {\n\t\tg();\n\t} else {\n\t}\n}\nint g(void)\n{\n}", ["f", "g"]],
    [
      "a definition in a macro",
      "#define MAKE(name) \\\nint name(void) \\\n{ \\\n\treturn 1; \\\n}\nint f(void)\n{\n}",
      ["f"],
    ],
    [
      "a comment in a macro over several lines",
      "#define M(x)\t\\\n\t/* {\t\\\n\t * { \t\\\n\t */\t\\\n\tif (x) {\t\\\n\t}\nint f(void)\n{\n}",
      ["f"],
    ],
    ["a brace in a comment", "/* { */ int f(void)\n{\n\t// }\n\tg(); /* } */\n}\nint h(void)\n{\n}", ["f", "h"]],
    [
      "a brace in a string or a character",
      `int f(void)\n{\n\tp("} \\" }", '}', '\\'', "/* ");\n}\nint h(void)\n{\n}`,
      ["f", "h"],
    ],
    ["nothing", "", []],
    ["a file that is cut off in the middle", "int f(void)\n{\n\tif (a) {\n", []],
    ["a closing brace too many", "}\n}\nint f(void)\n{\n}", ["f"]],
  ])("%s", (_name, text, expected) => {
    expect(names(text)).toEqual(expected);
  });

  test("a block that each branch of an #if opens is closed once", () => {
    const text =
      "int f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t\tg();\n\t}\n}\nint h(void)\n{\n}\n";
    expect(names(text)).toEqual(["f", "h"]);
    expect(body(text)).toBe("if(a){if(b){g();}");
  });

  test("the head of a function in each branch of an #if makes one body", () => {
    const text = "#ifdef A\nint f(int a)\n{\n#else\nint f(void)\n{\n#endif\n\tg();\n}\nint h(void)\n{\n}\n";
    expect(names(text)).toContain("h");
  });

  test("both branches of an #if have their definition", () => {
    expect(names("#ifdef A\nint f(void)\n{\n\ta();\n}\n#else\nint f(void)\n{\n}\n#endif\n")).toEqual(["f", "f"]);
  });

  test("what #if 0 leaves out is not there, and its #else is", () => {
    const text = "int f(void)\n{\n#if 0\n\tgone();\n#else\n\there();\n#endif\n}\n#if 0\nint g(void)\n{\n}\n#endif\n";
    expect(names(text)).toEqual(["f"]);
    expect(body(text)).toBe("here();");
  });

  test("an #if within #if 0 does not end it early", () => {
    expect(body("int f(void)\n{\n#if 0\n#ifdef A\n\ta();\n#endif\n\tb();\n#endif\n\tc();\n}\n")).toBe("c();");
  });

  test("lines are the file's", () => {
    const text = "/*\n * two lines\n */\n\nint f(void)\n{\n\n\tcall(a,\n\t     b);\n}\n";
    const [f] = readC(text).functions;
    expect(f?.line).toBe(6);
    expect(f?.text).toBe("call(a,b);");
    expect(f?.lines[0]).toBe(8);
    expect(f?.lines[f.text.indexOf("b)")]).toBe(9);
  });

  test("letters beyond 16 bits do not shift the lines", () => {
    const text = 'int f(void)\n{\n\tp("😀😀"); /* 😀 */\n\tq();\n}\n';
    const [f] = readC(text).functions;
    expect(f?.text).toBe('p("");q();');
    expect(f?.lines).toHaveLength(f?.text.length ?? -1);
    expect(f?.lines[f.text.indexOf("q")]).toBe(4);
  });
});

describe("code is compared without its layout", () => {
  test.each<[string, string, string]>([
    ["blanks and lines", "if  (a ==\n\tb)", "if(a==b)"],
    ["words stay apart", "return  -EAGAIN; static int x", "return-EAGAIN;static int x"],
    ["comments are out", "a(/* b */ c); // d", "a(c);"],
    ["a comment between words keeps them apart", "static/* x */int", "static int"],
    ["what strings say is out", 'printk("iscsi_stop_conn( %d", x)', 'printk("",x)'],
  ])("%s", (_name, text, expected) => {
    expect(body(`int f(void)\n{\n${text}\n}\n`)).toBe(expected);
  });

  test("a text to look for may be laid out as one likes", () => {
    expect(compactText("  spin_lock( &conn->lock )\n ;")).toBe("spin_lock(&conn->lock);");
  });
});

describe("a text is found", () => {
  const code = readC("int f(void)\n{\n\tiscsi_stop_conn(a);\n\tstop_conn(b);\n\tx->stop_conn(c);\n}\n").functions[0];
  test.each<[string, string, number, string]>([
    ["as a word, not as the end of another", "stop_conn(", 0, "stop_conn(b)"],
    ["behind a place", "stop_conn(", 21, "stop_conn(c)"],
    ["from a character that is no letter", "->stop_conn(", 0, "->stop_conn(c)"],
  ])("%s", (_name, wanted, from, rest) => {
    expect(code).toBeDefined();
    if (code === undefined) return;
    const at = find(code, wanted, from);
    expect(code.text.slice(at, at + rest.length)).toBe(rest);
  });

  test.each(["stop", "stop_con", "conn(", "stop_conn(d"])("not where it is not: %s", wanted => {
    expect(code === undefined ? 0 : find(code, wanted)).toBe(-1);
  });
});
