/**
 * lab.json in a lab's directory: what another process needs to enter a lab that runs (`rig shell`) or to remove it
 * (`rig reap`). It holds the lab's client key, so only its owner can read it.
 */
import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { NODE_NAMES } from "../core/names.ts";
import { labsDir } from "../core/paths.ts";

const keptNodeSchema = z.strictObject({
  name: z.enum(NODE_NAMES),
  address: z.string(),
  port: z.number().int(),
  container: z.string(),
  /** The host's public key, wire format, base64. */
  hostPublic: z.string(),
});

const labFileSchema = z.strictObject({
  labels: z.strictObject({ run: z.string(), lab: z.string(), owner: z.string() }),
  clientKey: z.string(),
  kernel: z.string(),
  /** Set by --keep-lab: not removed by the next start, only by `rig reap`. */
  keep: z.boolean(),
  nodes: z.array(keptNodeSchema),
});
export type LabFile = z.infer<typeof labFileSchema>;

const NAME = "lab.json";

export const writeLabFile = async (dir: string, lab: LabFile): Promise<void> => {
  const file = path.join(dir, NAME);
  await writeFile(`${file}.new`, `${JSON.stringify(lab, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
};

export interface FoundLab {
  readonly directory: string;
  /** Undefined where lab.json is missing or damaged: its maker died while making it. */
  readonly lab: LabFile | undefined;
}

/** Every lab directory of this machine. */
export const findLabs = async (): Promise<readonly FoundLab[]> => {
  const names = await readdir(labsDir()).catch(() => []);
  const found: FoundLab[] = [];
  for (const name of names) {
    const directory = path.join(labsDir(), name);
    const text = await readFile(path.join(directory, NAME), "utf8").catch(() => "");
    let lab: LabFile | undefined;
    try {
      lab = labFileSchema.parse(JSON.parse(text));
    } catch {
      lab = undefined;
    }
    found.push({ directory, lab });
  }
  return found;
};
