/** What was tested, on what, and how: enough to do it again somewhere else. */
import type { ComponentChildren } from "preact";
import type { Run } from "../../rig/results/schema.ts";
import { Command } from "./facts.tsx";
import { KernelName } from "./kernel-name.tsx";
import { counted, formatMs } from "./units.ts";

const Fact = ({ name, children }: { readonly name: ComponentChildren; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const SHORT_SHA = 12;

/** More kernels than this are folded: they would push the results off the screen. */
const MAX_OPEN = 4;

const Kernels = ({ run }: { readonly run: Run }) => (
  <>
    {run.kernels.map(k => (
      <Fact
        key={k.name}
        name={
          <>
            kernel <KernelName name={k.name} />
          </>
        }
      >
        <span class="mono">{k.release}</span>
        <small>
          {k.package ?? k.source} {k.packageVersion}
          <br />
          <span title={k.sha256}>sha256 {k.sha256.slice(0, SHORT_SHA)}…</span>
        </small>
      </Fact>
    ))}
  </>
);

export const Provenance = ({ run }: { readonly run: Run }) => {
  const { machine, tool } = run;
  const folded = run.kernels.length > MAX_OPEN;
  return (
    <section class="provenance" aria-label="Where this comes from">
      <dl>
        {!folded && <Kernels run={run} />}
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
      {folded && (
        <details class="fold">
          <summary>{counted(run.kernels.length, "kernel")}</summary>
          <dl>
            <Kernels run={run} />
          </dl>
        </details>
      )}
      <Command title="Command" text={run.command.join(" ")} />
    </section>
  );
};
