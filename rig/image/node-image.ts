/**
 * The node image: the container that holds a microVM. It is made by mmdebstrap and `docker import`, so that no image
 * registry is needed, and tagged with the hash of its definition.
 */
import { chmod, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { cached, contentKey } from "../core/cache.ts";
import { runOk } from "../core/exec.ts";
import type { Log } from "../core/log.ts";
import { bootstrap } from "../debian/bootstrap.ts";
import { definitionFile, IMAGE_SUITE, readPackageList } from "./definition.ts";
import { compileProgram } from "./program.ts";

const RECIPE = "node-image 3";

/** First process of every node's container once its paths are ready, and where it listens. */
export const NODE_AGENT = "/usr/local/sbin/rig-agent";

export interface NodeImage {
  readonly key: string;
  /** The name by which Docker knows it. */
  readonly tag: string;
}

const isKnown = (docker: Docker, tag: string): Promise<boolean> =>
  docker
    .getImage(tag)
    .inspect()
    .then(
      () => true,
      () => false,
    );

/** Imports a root file system as an image; dockerode answers with a progress stream that has to be read to its end. */
const importTar = async (docker: Docker, tar: string, tag: string): Promise<void> => {
  const [repo, name] = tag.split(":");
  const stream = await docker.importImage(tar, {
    repo,
    tag: name,
    changes: ["LABEL org.iscsi-rig=image", 'ENTRYPOINT ["/usr/local/sbin/rig-entry"]'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  docker.modem.followProgress(stream, (error: Error | null, rows: unknown) =>
    error === null ? resolve(rows) : reject(error),
  );
  await promise;
};

/** The node image, made and imported if Docker does not have it. */
export const nodeImage = async (docker: Docker, log: Log, signal?: AbortSignal): Promise<NodeImage> => {
  const packages = await readPackageList("node");
  const entry = await readFile(definitionFile("node", "entry.sh"));
  const agent = await readFile(definitionFile("node", "agent.c"));
  const key = contentKey(RECIPE, IMAGE_SUITE, packages.join("\n"), entry, agent);
  const tag = `iscsi-rig/node:${key}`;
  if (await isKnown(docker, tag)) return { key, tag };
  const dir = await cached({
    kind: "node-image",
    key,
    what: "the node image",
    needsMiB: 1500,
    log,
    signal,
    build: async building => {
      log.say(`Making the node image: ${packages.join(", ")} and what they need (about half a minute).`);
      const tar = path.join(building, "node.tar");
      await bootstrap({
        suite: IMAGE_SUITE,
        packages,
        target: tar,
        signal,
        onLine: line => log.status(`node image: ${line}`),
      });
      await writeFile(path.join(building, "rig-entry"), entry);
      await chmod(path.join(building, "rig-entry"), 0o755);
      await compileProgram("node", "agent.c", path.join(building, "rig-agent"), log, signal);
      await runOk(
        [
          "tar",
          "--append",
          `--file=${tar}`,
          "--owner=0",
          "--group=0",
          `--directory=${building}`,
          "--transform=s,^,./usr/local/sbin/,",
          "rig-entry",
          "rig-agent",
        ],
        "RIG_IMAGE_BUILD",
        { signal },
      );
      log.status("");
    },
  });
  await importTar(docker, path.join(dir, "node.tar"), tag);
  log.say(`Imported the node image as ${tag}.`);
  return { key, tag };
};
