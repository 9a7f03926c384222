/**
 * The ssh keys of one lab: a host key for each node, which the rig checks on every connection, and one client key that is
 * the only way in. All are made anew for each lab and never leave its directory.
 *
 * They are put together here from node:crypto's ed25519: the generator that comes with ssh2 makes a key in every few hundred
 * that its own reader refuses.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";

const ALGORITHM = "ssh-ed25519";
const COMMENT = "iscsi-rig";

/** An SSH string: four bytes of length, then the bytes (RFC 4251, section 5). */
const sshString = (bytes: string | Buffer): Buffer => {
  const data = Buffer.from(bytes as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
};

interface Ed25519 {
  /** 32 bytes. */
  readonly seed: Buffer;
  /** The public point, 32 bytes. */
  readonly point: Buffer;
}

const generate = (): Ed25519 => {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return { seed: Buffer.from(jwk.d ?? "", "base64url"), point: Buffer.from(jwk.x ?? "", "base64url") };
};

/** The public key in the wire format (RFC 8709, section 4). */
const publicBlob = ({ point }: Ed25519): Buffer => Buffer.concat([sshString(ALGORITHM), sshString(point)]);

/** OpenSSH's own format for private keys (its PROTOCOL.key), without a passphrase. */
const openSshPrivate = (key: Ed25519): string => {
  const check = randomBytes(4);
  const secret = Buffer.concat([
    ...[check, check, sshString(ALGORITHM), sshString(key.point)],
    ...[sshString(Buffer.concat([key.seed, key.point])), sshString(COMMENT)],
  ]);
  // Padded to the cipher's block, which is 8 bytes for none, by 1, 2, 3 ...
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, i) => i + 1));
  const one = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    ...[Buffer.from("openssh-key-v1\0"), sshString("none"), sshString("none"), sshString(""), one],
    ...[sshString(publicBlob(key)), sshString(Buffer.concat([secret, padding]))],
  ]);
  const lines = body.toString("base64").match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
};

/** The client's private key in OpenSSH's format, and the line of it that goes into authorized_keys. */
export const makeClientKey = (): { clientKey: string; authorized: string } => {
  const key = generate();
  return {
    clientKey: openSshPrivate(key),
    authorized: `${ALGORITHM} ${publicBlob(key).toString("base64")} ${COMMENT}\n`,
  };
};

/**
 * A host key in dropbear's format (the algorithm's name, then seed and public key in one string), and its public half in
 * the wire format that ssh2 hands to its verifier.
 */
export const makeHostKey = (): { hostKey: Buffer; hostPublic: Buffer } => {
  const key = generate();
  return {
    hostKey: Buffer.concat([sshString(ALGORITHM), sshString(Buffer.concat([key.seed, key.point]))]),
    hostPublic: publicBlob(key),
  };
};
