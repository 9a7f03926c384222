/** Reads a LUN's image on this machine, behind the initiator's back, piece by piece: an image may be larger than memory is. */
import { type FileHandle, open } from "node:fs/promises";
import { RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import type { Extent } from "../history/extent.ts";
import { joinExtents, readExtents } from "./stamp.ts";

const PIECE_BYTES = 4 * 2 ** 20;

const readFully = async (handle: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error(`it ends at byte ${position + done}, while it is read`);
    done += bytesRead;
  }
};

/**
 * What the first `bytes` bytes of an image hold.
 * @param wholeBytes the size of the LUN. An image that is shorter was cut, and what is left of it proves nothing.
 * @throws an error of the file system, or RIG_NBD for an image that is too short.
 */
export const readImage = async (
  file: string,
  bytes: number,
  wholeBytes: number,
  tag: bigint,
): Promise<readonly Extent[]> => {
  await using handle = await open(file, "r");
  const { size } = await handle.stat();
  if (size < wholeBytes)
    throw new RigError(
      "RIG_NBD",
      `it has ${size} bytes, but its LUN has ${wholeBytes}. Somebody cut it, so nothing can be said of what it holds`,
    );
  const extents: Extent[] = [];
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, bytes - at));
    await readFully(handle, piece, at);
    joinExtents(extents, readExtents(piece, at / SECTOR_BYTES, tag));
  }
  return extents;
};
