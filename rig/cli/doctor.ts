/** `rig doctor`: what this machine can do, and what to do about the rest. Changes nothing but starts no daemon either. */
import { existsSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import { Command } from "commander";
import pc from "picocolors";
import { messageOf } from "../core/errors.ts";
import { silentLog } from "../core/log.ts";
import { cacheDir, labsDir } from "../core/paths.ts";
import { machineMirrors } from "../debian/apt.ts";
import { nodeImage } from "../image/node-image.ts";
import { findKernel, loadCatalogue } from "../kernel/catalogue.ts";
import { kernelState } from "../kernel/kernel.ts";
import { chooseAccelerator } from "../lab/accelerator.ts";
import { probeCapabilities } from "../lab/capabilities.ts";
import { runningDocker } from "../lab/docker.ts";
import { reap } from "../lab/reaper.ts";
import { APP_FILE } from "../report/html.ts";
import { missingPackages } from "../setup/packages.ts";

type Level = "ok" | "note" | "bad";

interface Check {
  readonly name: string;
  readonly level: Level;
  readonly text: string;
}

const SPACE_MIB = 2000;

const freeMiB = async (dir: string): Promise<number> => {
  await mkdir(dir, { recursive: true });
  const fs = await statfs(dir);
  return Math.floor((fs.bavail * fs.bsize) / 2 ** 20);
};

const spaceCheck = async (name: string, dir: string): Promise<Check> => {
  try {
    const free = await freeMiB(dir);
    return {
      name,
      level: free < SPACE_MIB ? "bad" : "ok",
      text: `${free} MiB free in ${dir}${free < SPACE_MIB ? `; expected ${SPACE_MIB}` : ""}`,
    };
  } catch (error) {
    return { name, level: "bad", text: messageOf(error) };
  }
};

const dockerChecks = async (): Promise<Check[]> => {
  const docker = await runningDocker();
  if (docker === undefined)
    return [
      {
        name: "docker",
        level: "bad",
        text: "no daemon answers; rig run and make setup start one where dockerd is installed",
      },
    ];
  const version = (await docker.version()) as { Version?: string };
  const checks: Check[] = [{ name: "docker", level: "ok", text: `version ${version.Version ?? "unknown"}` }];
  try {
    const image = await nodeImage(docker, silentLog);
    checks.push({ name: "node image", level: "ok", text: image.tag });
    const choice = await chooseAccelerator(docker, image);
    checks.push({
      name: "accelerator",
      level: choice.accelerator === "kvm" ? "ok" : "note",
      text: `${choice.accelerator}: ${choice.why}; QEMU ${choice.qemu}`,
    });
    for (const { name, works, why } of await probeCapabilities(docker, image)) {
      const needed = !name.startsWith("tc ") && name !== "iptables statistic";
      checks.push({ name, level: works ? "ok" : needed ? "bad" : "note", text: works ? "works" : why });
    }
  } catch (error) {
    checks.push({ name: "containers", level: "bad", text: messageOf(error) });
  }
  const left = await reap(docker, { kept: true, dryRun: true });
  checks.push({
    name: "left over",
    level: left.length === 0 ? "ok" : "note",
    text: left.length === 0 ? "nothing" : `${left.join(", ")}; remove with: rig reap`,
  });
  return checks;
};

const allChecks = async (): Promise<readonly Check[]> => {
  const missing = missingPackages(false).map(need => need.package);
  const catalogue = await loadCatalogue();
  const kernels = await Promise.all(
    catalogue.kernels.map(async ({ name }) => {
      const state = await kernelState(findKernel(catalogue, name));
      return state === "cached" ? name : `${name} (${state})`;
    }),
  );
  const mirrors = await machineMirrors().then(
    (): Check => ({ name: "apt", level: "ok", text: "a Debian archive and its security updates" }),
    (error: unknown): Check => ({ name: "apt", level: "bad", text: messageOf(error) }),
  );
  const tun = existsSync("/dev/net/tun");
  return [
    {
      name: "root",
      level: process.getuid?.() === 0 ? "ok" : "bad",
      text: process.getuid?.() === 0 ? "yes" : "no; labs need root",
    },
    { name: "node", level: "ok", text: process.versions.node },
    {
      name: "packages",
      level: missing.length === 0 ? "ok" : "bad",
      text: missing.length === 0 ? "all there" : `missing: ${missing.join(", ")}; run: make setup`,
    },
    mirrors,
    { name: "/dev/net/tun", level: tun ? "ok" : "bad", text: tun ? "there" : "missing; try: modprobe tun" },
    await spaceCheck("cache", cacheDir()),
    await spaceCheck("labs", labsDir()),
    {
      name: "report app",
      level: existsSync(APP_FILE) ? "ok" : "bad",
      text: existsSync(APP_FILE) ? "built" : "not built; run: make setup",
    },
    { name: "kernels", level: "ok", text: kernels.join(", ") },
    ...(await dockerChecks()),
  ];
};

const MARK: Record<Level, string> = { ok: pc.green("ok  "), note: pc.yellow("note"), bad: pc.red("BAD ") };

export const doctorCommand = (): Command =>
  new Command("doctor")
    .description("say what this machine can do, by trying it")
    .option("--json", "as JSON", false)
    .action(async (options: { json: boolean }) => {
      const checks = await allChecks();
      if (options.json) process.stdout.write(`${JSON.stringify(checks, null, 2)}\n`);
      else
        for (const { name, level, text } of checks)
          process.stdout.write(`${MARK[level]}  ${name.padEnd(30)} ${text}\n`);
      process.exitCode = checks.some(check => check.level === "bad") ? 3 : 0;
    });
