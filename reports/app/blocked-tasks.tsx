/** Tasks that wait and cannot be woken, each with its kernel stack: what a hang looks like from inside. */
import type { EventOf } from "../../rig/history/event.ts";
import { formatSeconds, secondsOf } from "./units.ts";

export const BlockedTasks = ({
  tasks,
}: {
  readonly tasks: readonly (readonly [number, EventOf<"blocked-task">])[];
}) => (
  <div class="blocked">
    {tasks.map(([line, { t, node, pid, comm, frames }]) => (
      <article key={line}>
        <h5>
          <span class="mono">{comm}</span>{" "}
          <span class="quiet">
            pid {pid}, {node}, seen at {formatSeconds(secondsOf(t))}
          </span>
        </h5>
        <pre>{frames.length === 0 ? "no stack" : frames.join("\n")}</pre>
      </article>
    ))}
  </div>
);
