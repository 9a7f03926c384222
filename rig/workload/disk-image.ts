/** Reads a LUN's image on this machine, behind the initiator's back, piece by piece: an image may be larger than memory is. */
import { type FileHandle, open } from "node:fs/promises";
import { RigError } from "../core/errors.ts";
import { SECTOR_BYTES } from "../core/names.ts";
import type { SectorRange } from "./sector-ranges.ts";

export interface DiskImage extends AsyncDisposable {
  /** What stands in these sectors. */
  readonly read: (range: SectorRange) => Promise<Buffer>;
}

const readFully = async (handle: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error(`it ends at byte ${position + done}, while it is read`);
    done += bytesRead;
  }
};

/**
 * Opens an image.
 * @param wholeBytes the size of the LUN. An image that is shorter was cut, and what is left of it proves nothing.
 * @throws an error of the file system, or RIG_NBD for an image that is too short.
 */
export const openImage = async (file: string, wholeBytes: number): Promise<DiskImage> => {
  const handle = await open(file, "r");
  const image: DiskImage = {
    read: async ({ sector, sectors }) => {
      const bytes = Buffer.allocUnsafe(sectors * SECTOR_BYTES);
      await readFully(handle, bytes, sector * SECTOR_BYTES);
      return bytes;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
  const { size } = await handle.stat();
  if (size >= wholeBytes) return image;
  await handle.close();
  throw new RigError(
    "RIG_NBD",
    `it has ${size} bytes, but its LUN has ${wholeBytes}. Somebody cut it, so nothing can be said of what it holds`,
  );
};
