/**
 * Removes what rigs that died left behind: containers, networks and working directories whose owner no longer runs. It knows
 * the rig's things by their labels and touches nothing else; what a running rig uses is never touched, and labs that were
 * kept on purpose only when asked.
 */
import { rm, stat } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { wallClock } from "../core/clock.ts";
import { labsDir } from "../core/paths.ts";
import { stopContainer } from "./container.ts";
import { type FoundLab, findLabs } from "./lab-file.ts";
import { LAB_FILTER, LABEL, ownerAlive } from "./labels.ts";
import { removeNetwork } from "./network.ts";

export interface ReapOptions {
  /** Also labs that were kept by --keep-lab. */
  readonly kept: boolean;
  /** Only say what would be removed. */
  readonly dryRun?: boolean;
}

/** A directory without a readable lab.json is its maker's for this long; then its maker has died. */
const YOUNG_MS = 60_000;

const isStale = async ({ directory, lab }: FoundLab, kept: boolean): Promise<boolean> => {
  if (lab !== undefined) return !ownerAlive(lab.labels.owner) && (kept || !lab.keep);
  const facts = await stat(directory).catch(() => undefined);
  return facts !== undefined && wallClock().getTime() - facts.mtimeMs > YOUNG_MS;
};

/** Removes left-overs and names each thing removed. `docker` undefined: directories only. */
export const reap = async (docker: Docker | undefined, options: ReapOptions): Promise<readonly string[]> => {
  const { kept, dryRun = false } = options;
  const removed: string[] = [];
  const labs = await findLabs();
  const keptLabs = new Set(labs.filter(({ lab }) => lab?.keep === true && !kept).map(({ lab }) => lab?.labels.lab));
  const isOurs = (labels: Readonly<Record<string, string>> | undefined): boolean => {
    const owner = labels?.[LABEL.owner];
    return owner !== undefined && !ownerAlive(owner) && !keptLabs.has(labels?.[LABEL.lab]);
  };
  const take = async (what: string, remove: () => Promise<unknown>) => {
    if (!dryRun) await remove();
    removed.push(what);
  };
  if (docker !== undefined) {
    const filters = { label: [LAB_FILTER] };
    for (const item of await docker.listContainers({ all: true, filters })) {
      if (!isOurs(item.Labels)) continue;
      await take(`container ${(item.Names[0] ?? item.Id).replace(/^\//, "")}`, async () => {
        const container = docker.getContainer(item.Id);
        await stopContainer(container);
        await container.remove({ force: true, v: true });
      });
    }
    for (const item of await docker.listNetworks({ filters })) {
      if (isOurs(item.Labels)) await take(`network ${item.Name}`, () => removeNetwork(docker, item.Id));
    }
  }
  for (const lab of labs) {
    if (await isStale(lab, kept))
      await take(`directory ${path.join(labsDir(), path.basename(lab.directory))}`, () =>
        rm(lab.directory, { recursive: true, force: true }),
      );
  }
  return removed;
};
