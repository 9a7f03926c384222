/**
 * A block device as the ledger uses it: requests that may be answered in any order, and three ways for one to end. It was
 * answered well, it was answered with an error (NbdIoError), or it got no answer at all (NbdDisconnected). The last two are not
 * the same: a write without an answer may still take effect.
 */

/** What a device offers beside reading and writing. */
export interface Capabilities {
  readonly readOnly: boolean;
  readonly flush: boolean;
  readonly fua: boolean;
  readonly trim: boolean;
  readonly writeZeroes: boolean;
  /** Whether a flush on one connection covers what was answered on the others. */
  readonly multiConnection: boolean;
}

/** The lengths of requests that a device takes, in bytes. Offsets and lengths are multiples of the smallest. */
export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly maximum: number;
}

export interface WriteOptions {
  /** Answered only when the data is where a power cut does not reach it. */
  readonly fua?: boolean;
}

export interface ZeroOptions extends WriteOptions {
  /** The space is to stay allocated. */
  readonly noHole?: boolean;
}

export interface BlockDevice extends AsyncDisposable {
  readonly sizeBytes: number;
  readonly can: Capabilities;
  readonly blocks: BlockSizes;
  /** Requests that have no answer yet. */
  readonly inFlight: number;
  /** Resolves, with the reason, when the device can no longer be reached. */
  readonly ended: Promise<string>;
  read(offset: number, bytes: number): Promise<Buffer>;
  write(offset: number, data: Buffer, options?: WriteOptions): Promise<void>;
  /** What was answered before this was asked for is where a power cut does not reach it. */
  flush(): Promise<void>;
  /** The data is of no more use. What is read there afterwards is not defined. */
  trim(offset: number, bytes: number, options?: WriteOptions): Promise<void>;
  writeZeroes(offset: number, bytes: number, options?: ZeroOptions): Promise<void>;
}

/** An answer that says no: the operation failed with this error. */
export class NbdIoError extends Error {
  override readonly name = "NbdIoError";
}

/** The connection ended before an answer came: nobody knows whether the operation took effect. */
export class NbdDisconnected extends Error {
  override readonly name = "NbdDisconnected";
}
