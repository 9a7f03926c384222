import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type BootImageParts, bootImage } from "../testing/elf.ts";
import { parseBzImage } from "./bzimage.ts";

const MAGIC = {
  xz: Buffer.from("fd377a585a000004", "hex"),
  lz4: Buffer.from("02214c1800000000", "hex"),
} as const;

const image = (more: Partial<BootImageParts> = {}): Buffer =>
  bootImage({ payload: Buffer.concat([MAGIC.xz, randomBytes(4000)]), ...more });

/** The build appends the unpacked size to every format but gzip. */
const withSize = (packed: Buffer): Buffer => Buffer.concat([packed, Buffer.from([1, 2, 3, 4])]);

describe("a boot image", () => {
  const kernel = randomBytes(5000);

  test.each([4, 27, 39, 0])("with %i setup sectors (0 means 4)", setupSectors => {
    const payload = Buffer.concat([MAGIC.xz, randomBytes(4000)]);
    expect(parseBzImage(image({ setupSectors, payload: withSize(payload) }), "vmlinuz")).toEqual({
      release: "6.1.0-13-amd64",
      compression: "xz",
      payload,
    });
  });

  test("with zstd gives back the kernel, without the size behind it", () => {
    const { compression, payload } = parseBzImage(image({ payload: withSize(zstdCompressSync(kernel)) }), "vmlinuz");
    expect(compression).toBe("zstd");
    expect(zstdDecompressSync(payload).equals(kernel)).toBe(true);
  });

  test("with gzip gives back the kernel, with the size that is gzip's own", () => {
    const { compression, payload } = parseBzImage(image({ payload: gzipSync(kernel) }), "vmlinuz");
    expect(compression).toBe("gzip");
    expect(gunzipSync(payload).equals(kernel)).toBe(true);
  });

  test("with lz4", () => {
    const payload = withSize(Buffer.concat([MAGIC.lz4, kernel]));
    expect(parseBzImage(image({ payload }), "vmlinuz").compression).toBe("lz4");
  });

  test.each(["5.10.0-30-amd64", "6.12.9+deb13-amd64", "6.18.0-rc1-next-20260101", "7.0.0-rc3+", "6.1.0~x_y"])(
    "of %s",
    release => {
      expect(parseBzImage(image({ release }), "vmlinuz").release).toBe(release);
      expect(parseBzImage(image({ release: `${release} (gcc) #1` }), "vmlinuz").release).toBe(release);
    },
  );
});

describe("what is no boot image is told with its file:", () => {
  const whole = image();
  test.each<[string, Buffer, string]>([
    ["an empty file", Buffer.alloc(0), "it has only 0 bytes"],
    ["a short one", whole.subarray(0, 0xfff), "it has only 4095 bytes"],
    ["an ELF file", Buffer.concat([Buffer.from("\u007fELF"), Buffer.alloc(10_000)]), "it has no HdrS mark"],
    ["another mark", image({ magic: "HdrX" }), "it has no HdrS mark"],
    ["an old protocol", image({ protocol: 0x207 }), "its boot protocol is 0x207"],
    ["no release", image({ release: "" }), "its release string is unreadable"],
    ["a release that leads elsewhere", image({ release: "../../etc" }), "its release string is unreadable"],
    ["a release of many lines", image({ release: "6.1\nx" }), "its release string is unreadable"],
    ["one that is cut short", whole.subarray(0, whole.length - 200), "it is cut short"],
    ["an absurd payload", image({ length: 0xffffffff }), "it is cut short"],
    ["no payload", image({ length: 0 }), "it is cut short"],
    ["bzip2", image({ payload: Buffer.alloc(100, "BZh9") }), "its payload begins with 425a68394"],
  ])("%s", (_name, bytes, words) => {
    expect(() => parseBzImage(bytes, "/boot/vmlinuz-x")).toThrow(
      expect.objectContaining({
        code: "RIG_KERNEL_BUNDLE",
        blame: "usage",
        message: expect.stringMatching(new RegExp(`^/boot/vmlinuz-x: expected .*${words}`)) as string,
      }) as Error,
    );
  });
});
