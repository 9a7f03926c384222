/**
 * The ssh keys of one lab: a host key for each node, which the rig checks on every connection, and one client key that is
 * the only way in. All are made anew for each lab and never leave its directory.
 */
import { generateKeyPairSync } from "node:crypto";
import ssh2 from "ssh2";

const ALGORITHM = "ssh-ed25519";

/** An SSH string: four bytes of length, then the bytes (RFC 4251, section 5). */
const sshString = (bytes: string | Buffer): Buffer => {
  const data = Buffer.from(bytes as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
};

/** The client's private key in OpenSSH's format, and the line of it that goes into authorized_keys. */
export const makeClientKey = (): { clientKey: string; authorized: string } => {
  const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment: "iscsi-rig" });
  return { clientKey: pair.private, authorized: `${pair.public}\n` };
};

/**
 * A host key in dropbear's format (the algorithm's name, then seed and public key in one string), and its public half in
 * the wire format that ssh2 hands to its verifier.
 */
export const makeHostKey = (): { hostKey: Buffer; hostPublic: Buffer } => {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const seed = Buffer.from(jwk.d ?? "", "base64url");
  const point = Buffer.from(jwk.x ?? "", "base64url");
  return {
    hostKey: Buffer.concat([sshString(ALGORITHM), sshString(Buffer.concat([seed, point]))]),
    hostPublic: Buffer.concat([sshString(ALGORITHM), sshString(point)]),
  };
};
