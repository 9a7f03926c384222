/**
 * A device that is reached over several connections at once. A server works on the requests of one connection in one thread, and
 * TCP delivers them one after another; over several, requests overtake each other as they do on the queues of a real disk.
 *
 * A flush covers what was answered on the other connections only if the server says so (NBD_FLAG_CAN_MULTI_CONN). Where it does
 * not, there may be but one connection. The connections stand and fall together: when one ends, all are closed, so that there is
 * one moment from which nothing is answered any more.
 */
import { RigError } from "../core/errors.ts";
import type { BlockDevice, BlockSizes, Capabilities, WriteOptions, ZeroOptions } from "./block-device.ts";
import { NbdClient } from "./nbd.ts";

export interface NbdAddress {
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
}

export class NbdDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly can: Capabilities;
  readonly blocks: BlockSizes;
  readonly ended: Promise<string>;
  readonly #clients: readonly NbdClient[];

  private constructor(clients: readonly NbdClient[], first: NbdClient) {
    this.#clients = clients;
    this.sizeBytes = first.sizeBytes;
    this.can = first.can;
    this.blocks = first.blocks;
    this.ended = Promise.race(clients.map(client => client.ended));
    void this.ended.then(() => this.#close());
  }

  /** Connects so many times. @throws RIG_NBD */
  static async connect(
    { host, port, exportName }: NbdAddress,
    connections: number,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<NbdDevice> {
    const tries = await Promise.allSettled(
      Array.from({ length: connections }, () => NbdClient.connect(host, port, exportName, withinMs, signal)),
    );
    const clients = tries.flatMap(one => (one.status === "fulfilled" ? [one.value] : []));
    try {
      for (const one of tries) if (one.status === "rejected") throw one.reason;
      const [first] = clients;
      if (first === undefined) throw new RigError("RIG_BUG", `Expected a number of connections, got ${connections}.`);
      requireOne(clients, first, exportName);
      return new NbdDevice(clients, first);
    } catch (error) {
      await Promise.all(clients.map(client => client[Symbol.asyncDispose]()));
      throw error;
    }
  }

  get inFlight(): number {
    return this.#clients.reduce((sum, client) => sum + client.inFlight, 0);
  }

  get connections(): number {
    return this.#clients.length;
  }

  read(offset: number, bytes: number): Promise<Buffer> {
    return this.#idlest().read(offset, bytes);
  }

  write(offset: number, data: Buffer, options?: WriteOptions): Promise<void> {
    return this.#idlest().write(offset, data, options);
  }

  flush(): Promise<void> {
    return this.#idlest().flush();
  }

  trim(offset: number, bytes: number, options?: WriteOptions): Promise<void> {
    return this.#idlest().trim(offset, bytes, options);
  }

  writeZeroes(offset: number, bytes: number, options?: ZeroOptions): Promise<void> {
    return this.#idlest().writeZeroes(offset, bytes, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    await Promise.all(this.#clients.map(client => client[Symbol.asyncDispose]()));
  }

  /** The connection with the fewest requests under way, the first of several. */
  #idlest(): NbdClient {
    return this.#clients.reduce((best, client) => (client.inFlight < best.inFlight ? client : best));
  }
}

/** All connections must lead to one device, and a flush on one must cover the others. */
const requireOne = (clients: readonly NbdClient[], first: NbdClient, name: string): void => {
  const told = ({ sizeBytes, can, blocks }: NbdClient) => JSON.stringify([sizeBytes, can, blocks]);
  if (clients.some(client => told(client) !== told(first)))
    throw new RigError("RIG_NBD", `The server told each connection something else of the export ${name}.`);
  if (clients.length > 1 && !first.can.multiConnection)
    throw new RigError(
      "RIG_NBD",
      `The server of the export ${name} does not promise that a flush covers other connections (NBD_FLAG_CAN_MULTI_CONN). Use one connection.`,
    );
};
