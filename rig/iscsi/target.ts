/**
 * The LIO target, set up by writing to configfs directly (Documentation/target): its LUNs, two portals, one ACL. targetcli would
 * do the same a hundred times slower.
 */
import { RigError } from "../core/errors.ts";
import { PATH_NAMES } from "../core/names.ts";
import { type Node, script } from "../lab/node.ts";
import { guestAddress, neighbours } from "../lab/qemu-argv.ts";
import { BACKSTORES, backstoreArguments, expectedBackstores, type Luns, requireBackstores } from "./backstore.ts";
import type { SessionParameters, Timing } from "./parameters.ts";
import { RDMA_LINKS, rdmaLinks, requireRdma, type Transport } from "./transport.ts";

export const TARGET_IQN = "iqn.2026-01.org.iscsi-rig:target";
export const INITIATOR_IQN = "iqn.2026-01.org.iscsi-rig:initiator";
export const PORTAL_PORT = 3260;

/**
 * $1 target, $2 initiator, $3 portals, $4 NOP-In timer, $5 hardware addresses for `ip`, $6 RDMA links, $7 what `backstores` is
 * called with, then NAME=VALUE of TPG parameters.
 */
const SETUP = `${RDMA_LINKS}${BACKSTORES}
C=/sys/kernel/config/target
target=$1 initiator=$2 portals=$3 nopin=$4 links=$6 stores=$7
printf %s "$5" | ip -batch - &
shift 7
rdma_links $links
backstores $stores
T=$C/iscsi/$target/tpgt_1 A=$C/iscsi/$target/tpgt_1/acls/$initiator
mkdir -p $C/iscsi/$target $T $A
for store in $hba/lun*; do
  lun=lun_\${store##*/lun}
  mkdir $T/lun/$lun $A/$lun
  ln -s $store $T/lun/$lun/disk
  ln -s $T/lun/$lun $A/$lun/disk
done
for portal in $portals; do
  mkdir $T/np/$portal
  # Beside the TCP socket, which stays, LIO listens at the same port of the RDMA device.
  [ -z "$links" ] || echo 1 > $T/np/$portal/iser
done
echo 0 > $T/attrib/authentication
for pair in "$@"; do echo \${pair#*=} > $T/param/\${pair%%=*}; done
echo $nopin > $A/attrib/nopin_timeout
echo 1 > $T/enable
for name in ImmediateData InitialR2T FirstBurstLength MaxBurstLength MaxRecvDataSegmentLength; do
  read -r value < $T/param/$name && echo $name=$value
done
read -r value < $A/attrib/nopin_timeout && echo nopin_timeout=$value
wait
`;

/** What makes a target what it is, for the key of a snapshot. */
export const TARGET_SCRIPTS: readonly string[] = [
  ...[SETUP, TARGET_IQN, INITIATOR_IQN, String(PORTAL_PORT)],
  rdmaLinks("target", "iser"),
];

const yesNo = (value: boolean): string => (value ? "Yes" : "No");

/** `name=value` lines, as a record. */
export const parsePairs = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split("\n")
      .filter(line => line.includes("="))
      .map(line => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).trim()]),
  );

/** Fails with RIG_ISCSI_SETUP where what was read back is not what was asked for. */
export const requireSame = (
  what: string,
  expected: Readonly<Record<string, string>>,
  seen: Readonly<Record<string, string>>,
): void => {
  const wrong = Object.entries(expected).filter(([name, value]) => seen[name] !== value);
  if (wrong.length === 0) return;
  const list = wrong.map(([name, value]) => `${name}: expected ${value}, seen ${seen[name] ?? "nothing"}`).join("; ");
  throw new RigError("RIG_ISCSI_SETUP", `${what} did not take the scenario's parameters: ${list}.`, {
    blame: "scenario",
  });
};

/** Brings the target up; returns its parameters as read back. */
export const startTarget = async (
  node: Node,
  timing: Timing,
  session: SessionParameters,
  transport: Transport,
  luns: Luns,
  signal?: AbortSignal,
): Promise<Record<string, string>> => {
  const parameters = {
    ImmediateData: yesNo(session.immediateData),
    InitialR2T: yesNo(session.initialR2T),
    FirstBurstLength: String(session.firstBurstLength),
    MaxBurstLength: String(session.maxBurstLength),
    MaxRecvDataSegmentLength: String(session.targetMaxRecvDataSegmentLength),
  };
  const portals = PATH_NAMES.map(path => `${guestAddress("target", path)}:${PORTAL_PORT}`).join(" ");
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  const args = [TARGET_IQN, INITIATOR_IQN, portals, String(timing.targetNopinTimeout), neighbours("initiator")];
  const made = [rdmaLinks("target", transport), backstoreArguments(luns).join(" ")];
  const result = await script(node, SETUP, [...args, ...made, ...pairs], { signal });
  const seen = parsePairs(result.stdout);
  requireBackstores(seen);
  requireRdma("target", seen);
  const nopin = { nopin_timeout: String(timing.targetNopinTimeout) };
  requireSame("The target", { ...parameters, ...nopin, ...expectedBackstores(luns) }, seen);
  return seen;
};
