/** The smaller facts of a cell: evidence of the faults, parameters as negotiated, phases, files, and how to run it again. */
import { useRef, useState } from "preact/hooks";
import type { Cell } from "../../rig/results/schema.ts";
import { formatBytes, formatCount, formatMs } from "./units.ts";

export const FaultEvidence = ({ faults }: { readonly faults: Cell["faults"] }) => (
  <div class="scroll">
    <table>
      <thead>
        <tr>
          <th>fault</th>
          <th>bit?</th>
          <th>gone?</th>
          <th>what its own counters say</th>
        </tr>
      </thead>
      <tbody>
        {faults.map(f => (
          <tr key={f.fault}>
            <td class="mono">{f.fault}</td>
            <td class={f.bit ? "" : "wrong"}>{f.bit ? "yes" : "NO"}</td>
            <td class={f.gone ? "" : "wrong"}>{f.gone ? "yes" : "NO"}</td>
            <td>
              {f.text}
              <span class="counters">
                {Object.entries(f.counters).map(([name, value]) => (
                  <span key={name}>
                    {name} <b>{formatCount(value)}</b>
                  </span>
                ))}
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
    {faults.length === 0 && <p class="quiet">No fault reported evidence.</p>}
  </div>
);

export const Sessions = ({ sessions }: { readonly sessions: Cell["sessions"] }) => {
  const names = [...new Set(sessions.flatMap(s => Object.keys(s.values)))];
  if (names.length === 0) return <p class="quiet">Nothing was negotiated.</p>;
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>parameter</th>
            {sessions.map(s => (
              <th key={s.path}>path {s.path}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map(name => (
            <tr key={name}>
              <td>{name}</td>
              {sessions.map(s => (
                <td key={s.path} class="mono">
                  {s.values[name] ?? "–"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
};

export const Phases = ({ phases }: { readonly phases: Cell["phases"] }) => {
  const longest = Math.max(1, ...phases.map(p => p.ms));
  return (
    <table class="phases">
      <tbody>
        {phases.map((p, i) => (
          <tr key={`${p.name} ${String(i)}`}>
            <td>{p.name}</td>
            <td class="meter">
              <i style={{ width: `${((p.ms / longest) * 100).toFixed(1)}%` }} />
            </td>
            <td class="number">{formatMs(p.ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
};

const hrefOf = (directory: string, name: string): string =>
  `./${[...directory.split("/"), ...name.split("/")].map(encodeURIComponent).join("/")}`;

export const Files = ({ files, directory }: { readonly files: Cell["files"]; readonly directory: string }) => (
  <div class="scroll">
    <table>
      <thead>
        <tr>
          <th>file</th>
          <th class="number">size</th>
          <th>sha256</th>
        </tr>
      </thead>
      <tbody>
        {files.map(f => (
          <tr key={f.name}>
            <td>
              <a href={hrefOf(directory, f.name)}>{f.name}</a>
            </td>
            <td class="number">{formatBytes(f.bytes)}</td>
            <td class="mono sha" title={f.sha256}>
              {f.sha256}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);

/** A command to copy. Where the page may not write to the clipboard it selects the text instead. */
export const Command = ({ text, title }: { readonly text: string; readonly title: string }) => {
  const code = useRef<HTMLElement>(null);
  const [state, setState] = useState("Copy");
  const select = () => {
    if (code.current !== null) getSelection()?.selectAllChildren(code.current);
    setState("Selected: press Ctrl+C");
  };
  const copy = () => {
    // Not in every browser, nor on a page from a plain http server, whatever the types say.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (clipboard === undefined) {
      select();
      return;
    }
    clipboard.writeText(text).then(() => {
      setState("Copied");
    }, select);
  };
  return (
    <p class="command">
      <span class="quiet">{title}</span>
      <code ref={code}>{text}</code>
      <button type="button" onClick={copy}>
        {state}
      </button>
    </p>
  );
};
