/**
 * Paths as Docker networks. Docker's own addresses on them are of no use to the guests, which have fixed ones; they only
 * tell the container which interface is which. Small subnets are taken from one private range, so that many labs fit
 * beside each other and Docker's default pools stay free.
 */
import { randomInt } from "node:crypto";
import type Docker from "dockerode";
import { messageOf, RigError } from "../core/errors.ts";
import { acquireLock } from "../core/lock.ts";
import type { NodeName } from "../core/names.ts";
import { type LabLabels, labelsOf } from "./labels.ts";
import { NODE_NUMBER } from "./qemu-argv.ts";

export interface LabNetwork {
  readonly id: string;
  readonly name: string;
  /** Docker's address of a node's container on this network. */
  address(node: NodeName): string;
}

/** 10.213.0.0/16 in subnets of 8 addresses. */
const SUBNETS = 8192;
const TRIES = 64;

/** The address of host number `host` in subnet number `index`. */
export const subnetAddress = (index: number, host: number): string =>
  `10.213.${Math.floor(index / 32)}.${(index % 32) * 8 + host}`;

/**
 * Makes a network; where its subnet is in use, by Docker or by the machine, another one is tried.
 *
 * One after another on the whole machine: with each new network Docker takes its jump to DOCKER-USER out of the FORWARD chain
 * and puts it back on top, and of two that do so at once (seen with 20.10) one leaves a second jump there for good.
 */
export const createNetwork = async (docker: Docker, name: string, labels: LabLabels): Promise<LabNetwork> => {
  await using _turn = await acquireLock("docker networks");
  let last: unknown;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const index = randomInt(SUBNETS);
    try {
      const network = await docker.createNetwork({
        Name: name,
        CheckDuplicate: true,
        Driver: "bridge",
        Labels: labelsOf(labels),
        IPAM: {
          Driver: "default",
          Config: [{ Subnet: `${subnetAddress(index, 0)}/29`, Gateway: subnetAddress(index, 1) }],
        },
        Options: { "com.docker.network.bridge.enable_ip_masquerade": "false" },
      });
      return { id: network.id, name, address: node => subnetAddress(index, NODE_NUMBER[node] + 1) };
    } catch (error) {
      last = error;
      if (!/overlap|in use|conflict/i.test(messageOf(error))) break;
    }
  }
  throw new RigError(
    "RIG_LAB_NETWORK",
    `Docker could not make the network ${name}: ${messageOf(last)}. Look at what is left over with: rig reap --dry-run`,
    {
      blame: "environment",
      cause: last,
    },
  );
};

/** Removes a network; one that is gone already is no error. */
export const removeNetwork = async (docker: Docker, id: string): Promise<void> => {
  try {
    await docker.getNetwork(id).remove();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
  }
};
