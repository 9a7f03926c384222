/**
 * The LIO target, set up by writing to configfs directly (Documentation/target): one LUN on a disk whose image the rig can
 * read on the host, two portals, one ACL. targetcli would do the same a hundred times slower.
 */
import { RigError } from "../core/errors.ts";
import { PATH_NAMES } from "../core/names.ts";
import { type Node, script } from "../lab/node.ts";
import { guestAddress, neighbours } from "../lab/qemu-argv.ts";
import type { SessionParameters, Timing } from "./parameters.ts";
import { RDMA_LINKS, rdmaLinks, requireRdma, type Transport } from "./transport.ts";

export const TARGET_IQN = "iqn.2026-01.org.iscsi-rig:target";
export const INITIATOR_IQN = "iqn.2026-01.org.iscsi-rig:initiator";
export const PORTAL_PORT = 3260;

/**
 * $1 target, $2 initiator, $3 portals, $4 NOP-In timer, $5 hardware addresses for `ip`, $6 RDMA links, then NAME=VALUE of TPG
 * parameters.
 */
const SETUP = `${RDMA_LINKS}
C=/sys/kernel/config/target
target=$1 initiator=$2 portals=$3 nopin=$4 links=$6
printf %s "$5" | ip -batch - &
shift 6
rdma_links $links
# The first backstore makes the target look for every kind of backend; the one that is wanted is loaded already.
read -r modprobe < /proc/sys/kernel/modprobe
echo > /proc/sys/kernel/modprobe
mkdir -p $C/core/iblock_0/lun0 $C/iscsi
echo udev_path=/dev/vdc > $C/core/iblock_0/lun0/control
echo rig-lun-0 > $C/core/iblock_0/lun0/wwn/vpd_unit_serial
echo 1 > $C/core/iblock_0/lun0/enable
echo $modprobe > /proc/sys/kernel/modprobe
T=$C/iscsi/$target/tpgt_1
mkdir $C/iscsi/$target
mkdir $T $T/lun/lun_0
ln -s $C/core/iblock_0/lun0 $T/lun/lun_0/disk
for portal in $portals; do
  mkdir $T/np/$portal
  # Beside the TCP socket, which stays, LIO listens at the same port of the RDMA device.
  [ -z "$links" ] || echo 1 > $T/np/$portal/iser
done
echo 0 > $T/attrib/authentication
for pair in "$@"; do echo \${pair#*=} > $T/param/\${pair%%=*}; done
A=$T/acls/$initiator
mkdir $A $A/lun_0
ln -s $T/lun/lun_0 $A/lun_0/disk
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
  const result = await script(node, SETUP, [...args, rdmaLinks("target", transport), ...pairs], { signal });
  const seen = parsePairs(result.stdout);
  requireRdma("target", seen);
  requireSame("The target", { ...parameters, nopin_timeout: String(timing.targetNopinTimeout) }, seen);
  return seen;
};
