import { describe, expect, test } from "vitest";
import { Scope, type UndoFailure } from "./scope.ts";

const scopeWith = (): { scope: Scope; undone: string[]; failures: UndoFailure[]; add: (what: string) => void } => {
  const undone: string[] = [];
  const failures: UndoFailure[] = [];
  const scope = new Scope(failure => failures.push(failure));
  const add = (what: string) =>
    scope.defer(what, () => {
      undone.push(what);
      return Promise.resolve();
    });
  return { scope, undone, failures, add };
};

describe("a scope", () => {
  test("undoes in reverse order, once, and everybody waits for it", async () => {
    const { scope, undone, failures, add } = scopeWith();
    for (const what of ["network", "container", "ssh"]) add(what);
    await Promise.all([scope.close(), scope.close()]);
    await scope[Symbol.asyncDispose]();
    expect(undone).toEqual(["ssh", "container", "network"]);
    expect(failures).toEqual([]);
  });

  test("goes on after an undo that fails or throws, and tells of it", async () => {
    const { scope, undone, failures, add } = scopeWith();
    add("network");
    scope.defer("container", () => Promise.reject(new Error("Docker is gone")));
    scope.defer("console", () => {
      throw new Error("at once");
    });
    add("ssh");
    await scope.close();
    expect(undone).toEqual(["ssh", "network"]);
    expect(failures).toEqual([
      { what: "console", message: "at once" },
      { what: "container", message: "Docker is gone" },
    ]);
  });

  test("gives up an undo that hangs when its own time is over", async () => {
    const { scope, undone, failures, add } = scopeWith();
    add("network");
    scope.defer("container", () => new Promise(() => undefined), 20);
    await scope.close();
    expect(undone).toEqual(["network"]);
    expect(failures).toEqual([
      { what: "container", message: 'Expected "container" to be undone within 20 ms; it did not happen.' },
    ]);
  });

  test("goes on when whoever is told of a failure fails too", async () => {
    const undone: string[] = [];
    const scope = new Scope(() => {
      throw new Error("the log is full");
    });
    scope.defer("network", () => {
      undone.push("network");
      return Promise.resolve();
    });
    scope.defer("container", () => Promise.reject(new Error("no")));
    await scope.close();
    expect(undone).toEqual(["network"]);
  });

  test("that was released undoes nothing", async () => {
    const { scope, undone, add } = scopeWith();
    add("network");
    scope.release();
    add("ssh");
    await scope.close();
    expect(undone).toEqual(["ssh"]);
  });

  test("takes nothing more once it is closed", async () => {
    const { scope, add } = scopeWith();
    const closing = scope.close();
    expect(() => add("late")).toThrow('Cannot register "late"');
    await closing;
  });

  test("undoes before the error that ended its block goes on", async () => {
    const { scope, undone, add } = scopeWith();
    const work = async () => {
      await using inner = scope;
      inner.defer("never", () => Promise.resolve());
      add("network");
      throw new Error("the cause");
    };
    await expect(work()).rejects.toThrow("the cause");
    expect(undone).toEqual(["network"]);
  });
});
