/**
 * What iSCSI runs over. With iser (RFC 7145) data moves by RDMA: rxe gives each path's NIC a software RoCE device, LIO's
 * portal listens there too, and open-iscsi logs in through its interface "iser". Then there are no TCP sockets; what a dead
 * connection still owes lies in a reliable queue pair, which sends it again until it is acknowledged.
 *
 * siw, iWARP in software, does not serve: LIO opens a TCP socket at the address of every portal, an iSER one included, and
 * siw's listener needs the same (siw_create_listen; iscsit_tpg_add_network_portal): "rdma_listen() failed: -98".
 */
import { RigError } from "../core/errors.ts";
import { type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";
import { guestDevice } from "../lab/qemu-argv.ts";

export const TRANSPORTS = ["tcp", "iser"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Name of a path's RDMA device in the guests. */
const rdmaDevice = (path: PathName): string => `rxe_${path}`;

export const pathOfRdmaDevice = (name: string): PathName | undefined =>
  PATH_NAMES.find(path => rdmaDevice(path) === name);

/** What each end's iSER is in the kernel. */
const ISER_MODULES: Readonly<Record<NodeName, string>> = { target: "ib_isert", initiator: "ib_iser" };

/**
 * For the set-up scripts: `rdma_links LINKS` makes the devices, LINKS being "MODULE NAME:NIC ..." as `rdmaLinks` gives it, or
 * nothing. What the kernel has neither as a module nor built in is printed as "missing=MODULE", and the script ends.
 */
export const RDMA_LINKS = `
rdma_links() {
  [ $# -gt 0 ] || return 0
  # rxe asks the crypto layer for its checksum only when a device is made, so no dependency tells of it.
  modprobe -qa crc32_generic crc32_pclmul || :
  modprobe -q $1 || [ -e /sys/module/$1 ] || { echo missing=$1; exit 0; }
  rxe=no
  if modprobe -q rdma_rxe; then rxe=yes; fi
  shift
  for link in "$@"; do
    if why=$(rdma link add \${link%:*} type rxe netdev \${link#*:} 2>&1); then continue; fi
    # Built in, it may have nothing in /sys/module: that the device can be made is what tells.
    [ $rxe = yes ] || { echo missing=rdma_rxe; exit 0; }
    grep -q "^name *: crc32$" /proc/crypto || { echo missing=crc32_generic; exit 0; }
    echo "rdma link add \${link%:*}: $why" >&2
    exit 1
  done
}
`;

/** What `rdma_links` is to make on a node. */
export const rdmaLinks = (node: NodeName, transport: Transport): string =>
  transport === "tcp"
    ? ""
    : [ISER_MODULES[node], ...PATH_NAMES.map(path => `${rdmaDevice(path)}:${guestDevice(path)}`)].join(" ");

/** The symbols of the kernel's configuration that `rdma_links` may find missing. */
const SYMBOLS: Readonly<Record<string, string>> = {
  rdma_rxe: "CONFIG_RDMA_RXE",
  crc32_generic: "CONFIG_CRYPTO_CRC32",
  ib_isert: "CONFIG_INFINIBAND_ISERT",
  ib_iser: "CONFIG_INFINIBAND_ISER",
};

/** @throws RIG_ISCSI_SETUP, blaming the environment, where a node's kernel cannot speak iSER. */
export const requireRdma = (node: NodeName, seen: Readonly<Record<string, string>>): void => {
  const module = seen["missing"];
  if (module === undefined) return;
  const known = Object.hasOwn(SYMBOLS, module) ? `${module} (${SYMBOLS[module]})` : "what RDMA needs";
  throw new RigError(
    "RIG_ISCSI_SETUP",
    `The transport iser needs ${known} in the kernel of the ${node}; it has it neither built in nor as a module. Take a kernel that has it, such as debian-6.1 (Debian's cloud kernels have no InfiniBand), or run the scenario over tcp.`,
    { blame: "environment" },
  );
};
