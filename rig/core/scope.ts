/**
 * Undo before do. A step of work registers what takes it back before it begins, so that a half-done step is undone too.
 * Undoing runs in reverse order, every step with a time budget of its own; a step that fails or hangs does not keep the
 * others from running, and never hides the error that ended the work.
 */
import { deadline, orAbort } from "./clock.ts";
import { messageOf } from "./errors.ts";

interface Undo {
  readonly what: string;
  readonly budgetMs: number;
  readonly undo: () => Promise<void>;
}

export interface UndoFailure {
  readonly what: string;
  readonly message: string;
}

export class Scope implements AsyncDisposable {
  readonly #undos: Undo[] = [];
  readonly #onFailure: (failure: UndoFailure) => void;
  #closing: Promise<void> | undefined;

  /** @param onFailure is told of every undo that failed. */
  constructor(onFailure: (failure: UndoFailure) => void) {
    this.#onFailure = onFailure;
  }

  /** Registers how to take back what is about to be done. */
  defer(what: string, undo: () => Promise<void>, budgetMs = 20_000): void {
    if (this.#closing !== undefined) throw new Error(`Cannot register "${what}": the scope is closed.`);
    this.#undos.push({ what, undo, budgetMs });
  }

  /** Forgets everything registered: what was done stays. */
  release(): void {
    this.#undos.length = 0;
  }

  /** Undoes everything, once; later calls wait for the first. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#undoAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #undoAll(): Promise<void> {
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      try {
        using limit = deadline(undo.budgetMs, `"${undo.what}" to be undone`);
        await orAbort(undo.undo(), limit);
      } catch (error) {
        this.#tell({ what: undo.what, message: messageOf(error) });
      }
    }
  }

  /** Whoever is told of a failure must not keep the rest from being undone. */
  #tell(failure: UndoFailure): void {
    try {
      this.#onFailure(failure);
    } catch {
      // There is nobody left to tell.
    }
  }
}
