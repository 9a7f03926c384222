/** What was tested, on what, and how: enough to do it again somewhere else. */
import type { ComponentChildren } from "preact";
import type { Run } from "../../rig/results/schema.ts";
import { Command } from "./facts.tsx";
import { formatMs } from "./units.ts";

const Fact = ({ name, children }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const SHORT_SHA = 12;

export const Provenance = ({ run }: { readonly run: Run }) => {
  const { machine, tool } = run;
  return (
    <section class="provenance" aria-label="Where this comes from">
      <dl>
        {run.kernels.map(k => (
          <Fact key={k.name} name={`kernel ${k.name}`}>
            <span class="mono">{k.release}</span>
            <small>
              {k.package ?? k.source} {k.packageVersion}
              <br />
              <span title={k.sha256}>sha256 {k.sha256.slice(0, SHORT_SHA)}…</span>
            </small>
          </Fact>
        ))}
        <Fact name="accelerator">
          {machine.accelerator.toUpperCase()}
          <small>{machine.acceleratorWhy}</small>
        </Fact>
        <Fact name="machine">
          {machine.hostname}
          <small>
            {machine.cpus} × {machine.cpuModel}, {machine.memoryMiB} MiB · {machine.os}, {machine.kernel}
          </small>
        </Fact>
        <Fact name="tools">
          {tool.name} {tool.version}
          <small>
            {tool.commit === undefined ? "" : `commit ${tool.commit.slice(0, SHORT_SHA)} · `}QEMU {machine.qemu} ·
            Docker {machine.docker}
          </small>
        </Fact>
        <Fact name="run">
          {run.startedAt.slice(0, 16).replace("T", " ")} UTC
          <small>
            took <a href="#time">{formatMs(run.durationMs)}</a>
            <br />
            {run.id}
          </small>
        </Fact>
      </dl>
      <Command title="Command" text={run.command.join(" ")} />
    </section>
  );
};
