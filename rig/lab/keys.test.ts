import { createPrivateKey, createPublicKey } from "node:crypto";
import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { makeClientKey, makeHostKey } from "./keys.ts";

test("the client's key is one that ssh2 reads, and its public half is what goes into authorized_keys", () => {
  const { clientKey, authorized } = makeClientKey();
  const parsed = ssh2.utils.parseKey(clientKey);
  if (parsed instanceof Error) throw parsed;
  expect(parsed.type).toBe("ssh-ed25519");
  expect(parsed.isPrivateKey()).toBe(true);
  expect(authorized).toBe(`ssh-ed25519 ${parsed.getPublicSSH().toString("base64")} iscsi-rig\n`);
});

test("every key is one that ssh2 reads and can sign with", () => {
  for (let i = 0; i < 1000; i++) {
    const { clientKey } = makeClientKey();
    const parsed = ssh2.utils.parseKey(clientKey);
    if (parsed instanceof Error) throw parsed;
    const signature = parsed.sign("data");
    expect(signature instanceof Error || !parsed.verify("data", signature)).toBe(false);
  }
});

/** Strings after each other, each with its length (RFC 4251). */
const strings = (bytes: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    found.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
};

test("the host's key is in dropbear's format: the algorithm, then seed and public key in one string", () => {
  const { hostKey, hostPublic } = makeHostKey();
  expect(hostKey).toHaveLength(4 + 11 + 4 + 64);
  const [algorithm, pair = Buffer.alloc(0), ...rest] = strings(hostKey);
  expect([algorithm?.toString(), rest]).toEqual(["ssh-ed25519", []]);
  const wire = strings(hostPublic);
  expect(wire.map(part => part.length)).toEqual([11, 32]);
  expect(wire[1]?.equals(pair.subarray(32))).toBe(true);
  // The seed is the private key of that public key (RFC 8410).
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), pair.subarray(0, 32)]);
  const point = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" })).export({
    format: "jwk",
  }).x;
  expect(Buffer.from(point ?? "", "base64url").equals(pair.subarray(32))).toBe(true);
});

test("ssh2 takes the host's public key for what it is", () => {
  const parsed = ssh2.utils.parseKey(`ssh-ed25519 ${makeHostKey().hostPublic.toString("base64")}`);
  expect(parsed).not.toBeInstanceOf(Error);
});

test("no two labs have the same keys", () => {
  expect(makeHostKey().hostPublic.equals(makeHostKey().hostPublic)).toBe(false);
  expect(makeClientKey().authorized).not.toBe(makeClientKey().authorized);
});
