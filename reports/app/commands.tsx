/**
 * What the target says of a finding: the very commands that put the data there, as it executed them. The second witness
 * knows nothing of the rig's account, so the two can be held against each other.
 */
import { useState } from "preact/hooks";
import type { EventOf } from "../../rig/history/event.ts";
import type { BadCommand } from "../../rig/oracle/finding.ts";
import { commandKey } from "./command-lanes.ts";
import { counted, formatCount, formatSeconds, secondsOf } from "./units.ts";

export type Witness = EventOf<"witness">;

const FIRST_ROWS = 4;

const BY: Readonly<Record<Witness["by"], string>> = {
  tracepoints: "the target kernel's tracepoints",
  capture: "the packet capture",
  nothing: "nobody",
};

const witnessWords = (witness: Witness): string => {
  // A sentence or several, with or without a full stop at the end.
  const said = witness.text.replace(/\.$/, "");
  if (witness.by === "nothing") return `The target was not watched: ${said}.`;
  const whole = witness.whole ? "" : ", but not of every command";
  return `By ${BY[witness.by]}${whole}: ${said}. Times are within ${String(Math.max(1, Math.ceil(witness.skewNs / 1e6)))} ms of the host's clock.`;
};

const Row = ({ command, href }: { readonly command: BadCommand; readonly href: string | undefined }) => {
  const { session, path, cmdSN, tag, sector, sectors, executedNs } = command;
  const at = formatSeconds(secondsOf(executedNs), 4);
  const last = sector + sectors - 1;
  return (
    <tr>
      <td class="number">{href === undefined ? at : <a href={href}>{at}</a>}</td>
      <td>{path === undefined ? "unknown" : `path ${path}`}</td>
      <td class="mono">{session ?? "unknown"}</td>
      <td class="number">{cmdSN === undefined ? "unknown" : String(cmdSN)}</td>
      <td class="mono">0x{tag.toString(16)}</td>
      <td class="mono">{sectors === 1 ? formatCount(sector) : `${formatCount(sector)} – ${formatCount(last)}`}</td>
    </tr>
  );
};

interface Props {
  readonly commands: readonly BadCommand[];
  readonly witness: Witness | undefined;
  /** The link to a command's line of the history. */
  readonly hrefOf: (command: BadCommand) => string | undefined;
}

export const Commands = ({ commands, witness, hrefOf }: Props) => {
  const [all, setAll] = useState(false);
  if (commands.length === 0 && witness === undefined) return null;
  const shown = all ? commands : commands.slice(0, FIRST_ROWS);
  return (
    <section class="commands">
      <h5>
        {commands.length === 0
          ? "What the target executed"
          : `The target executed ${counted(commands.length, "command")} that put it there`}
      </h5>
      {commands.length > 0 && (
        <div class="scroll">
          <table class="extents">
            <thead>
              <tr>
                <th class="number">executed at</th>
                <th>came over</th>
                <th>session</th>
                <th class="number">CmdSN</th>
                <th>tag</th>
                <th>sectors</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(command => (
                <Row key={commandKey(command.tag, command.executedNs)} command={command} href={hrefOf(command)} />
              ))}
            </tbody>
          </table>
          {commands.length > shown.length && (
            <button type="button" onClick={() => setAll(true)}>
              Show all {formatCount(commands.length)} commands
            </button>
          )}
        </div>
      )}
      {witness !== undefined && (
        <p class={witness.whole && witness.by !== "nothing" ? "quiet" : "doubt"}>{witnessWords(witness)}</p>
      )}
    </section>
  );
};
