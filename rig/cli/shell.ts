/** `rig shell`: a shell, or one command, in a node of a lab that runs. */
import { Command } from "commander";
import { shellCommand as asShellCommand } from "../core/argv.ts";
import { RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName } from "../core/names.ts";
import { suggestion } from "../core/nearest.ts";
import { findLabs, type LabFile } from "../lab/lab-file.ts";
import { Ssh } from "../lab/ssh.ts";

const usage = (message: string): RigError => new RigError("RIG_USAGE", message, { blame: "usage" });

/** The lab that is meant: the named one, or the only one there is. */
export const chooseLab = (labs: readonly LabFile[], wanted: string | undefined): LabFile => {
  const ready = labs.filter(lab => lab.nodes.length > 0);
  const ids = ready.map(lab => lab.labels.lab);
  if (wanted !== undefined) {
    const lab = ready.find(candidate => candidate.labels.lab === wanted);
    if (lab === undefined)
      throw usage(`No lab ${JSON.stringify(wanted.slice(0, 40))} runs. ${suggestion(wanted, ids)}`);
    return lab;
  }
  const [lab, second] = ready;
  if (lab === undefined) throw usage("No lab runs. Leave one running with: rig run SCENARIO --kernel NAME --keep-lab");
  if (second !== undefined)
    throw usage(
      `Several labs run; say which with --lab: ${ready.map(item => `${item.labels.lab} (${item.kernel})`).join(", ")}`,
    );
  return lab;
};

const connect = async (lab: LabFile, name: NodeName): Promise<Ssh> => {
  const node = lab.nodes.find(candidate => candidate.name === name);
  if (node === undefined) throw usage(`The lab ${lab.labels.lab} has no node ${name}.`);
  return Ssh.connect(
    {
      name,
      host: node.address,
      port: node.port,
      clientKey: lab.clientKey,
      hostPublic: Buffer.from(node.hostPublic, "base64"),
    },
    10_000,
  );
};

export const shellCommand = (): Command =>
  new Command("shell")
    .description(
      "a shell in a node of a running or kept lab, or one command: rig shell initiator -- iscsiadm -m session",
    )
    .argument("<node>", NODE_NAMES.join(" or "))
    .argument("[command...]", "a command instead of a shell")
    .option("--lab <id>", "which lab, where several run")
    .action(async (node: string, command: string[], options: { lab?: string }) => {
      const name = NODE_NAMES.find(candidate => candidate === node);
      if (name === undefined)
        throw usage(`There is no node ${JSON.stringify(node.slice(0, 40))}. ${suggestion(node, NODE_NAMES)}`);
      const labs = (await findLabs()).flatMap(found => (found.lab === undefined ? [] : [found.lab]));
      await using ssh = await connect(chooseLab(labs, options.lab), name);
      const { stdin, stdout, stderr } = process;
      const interactive = stdin.isTTY && stdout.isTTY;
      const channel = await ssh.shell(
        command.length === 0 ? undefined : asShellCommand(command),
        interactive ? { rows: stdout.rows, cols: stdout.columns } : undefined,
      );
      const ended = Promise.withResolvers<number>();
      channel.on("exit", (code: number | null) => {
        process.exitCode = code ?? 3;
      });
      channel.on("close", () => ended.resolve(0));
      if (interactive) {
        stdin.setRawMode(true);
        stdout.on("resize", () => channel.setWindow(stdout.rows, stdout.columns, 0, 0));
      }
      stdin.pipe(channel);
      channel.pipe(stdout);
      channel.stderr.pipe(stderr);
      try {
        await ended.promise;
      } finally {
        if (interactive) stdin.setRawMode(false);
        stdin.unpipe(channel);
        stdin.pause();
      }
    });
