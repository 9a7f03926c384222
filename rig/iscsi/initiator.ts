/**
 * open-iscsi on the initiator: iscsid, a node record for each portal, one session a path, and what the kernel says was
 * negotiated.
 */
import { RigError } from "../core/errors.ts";
import { PATH_NAMES, type PathName } from "../core/names.ts";
import { type Node, script } from "../lab/node.ts";
import { guestAddress, neighbours, pathOfAddress } from "../lab/qemu-argv.ts";
import type { Luns } from "./backstore.ts";
import { expectedSysfs, iscsidConf, type SessionParameters, type Timing } from "./parameters.ts";
import { INITIATOR_IQN, PORTAL_PORT, parsePairs, requireSame, TARGET_IQN } from "./target.ts";
import { RDMA_LINKS, rdmaLinks, requireRdma, type Transport } from "./transport.ts";

/**
 * $1 initiator name, $2 iscsid.conf, $3 what `ip` is to learn of the target's hardware addresses, $4 target, $5 RDMA links,
 * $6 open-iscsi's interface, then portals. Starts iscsid and makes the node records. Needs no target yet.
 */
const PREPARE = `${RDMA_LINKS}
rdma_links $5
mkdir -p /run/lock/iscsi /run/iscsi
echo "InitiatorName=$1" > /etc/iscsi/initiatorname.iscsi
printf %s "$2" > /etc/iscsi/iscsid.conf
iscsid
# iscsid looks after a new connection once, and then only a second later: let nobody have to ask for an address by then.
printf %s "$3" | ip -batch - &
target=$4 interface=$6
shift 6
for portal in "$@"; do iscsiadm -m node -o new -T $target -p $portal -I $interface > /dev/null & done
wait
`;

/** $1 how many disks there must be. Waits until every session has its own, and prints what sysfs says of every session. */
const LOGIN = `
wanted=$1
iscsiadm -m node -L all > /run/rig/login.log 2>&1 || { cat /run/rig/login.log >&2; exit 1; }
# Only the shell's own commands from here on: without hardware virtualisation a fork costs as much as all of this.
show() { if read -r value < "$2"; then echo "$1=$value"; fi; }
try=0
while :; do
  set -- /sys/class/iscsi_session/session*/device/target*/*/block/sd*
  [ $# -ge $wanted ] && [ -e "$1" ] && break
  try=$((try + 1))
  [ $try -le 200 ] || { echo "not every session's disk appeared: $*" >&2; exit 1; }
  sleep 0.05
done
for session in /sys/class/iscsi_session/session*; do
  sid=\${session##*/session}
  connection=/sys/class/iscsi_connection/connection$sid:0
  echo "--"
  echo "sid=$sid"
  for disk in $session/device/target*/*/block/sd*; do
    lun=\${disk%/block/*}
    lun=\${lun##*:}
    echo "disk.$lun=\${disk##*/}"
    show dev.$lun $disk/dev
    show sectors.$lun $disk/size
    show queue_depth.$lun $disk/device/queue_depth
    show write_cache.$lun $disk/queue/write_cache
  done
  for host in $session/device/../scsi_host/host*; do show proc_name $host/proc_name; done
  for name in state recovery_tmo first_burst_len max_burst_len immediate_data initial_r2t max_outstanding_r2t erl fast_abort abort_tmo; do
    show $name $session/$name
  done
  for name in persistent_address persistent_port max_recv_dlength max_xmit_dlength header_digest data_digest ping_tmo recv_tmo; do
    show $name $connection/$name
  done
done
`;

/** The interfaces that open-iscsi knows without being told, one for each transport. */
const INTERFACES: Readonly<Record<Transport, string>> = { tcp: "default", iser: "iser" };

/** What makes an initiator what it is, for the key of a snapshot. */
export const INITIATOR_SCRIPTS: readonly string[] = [
  ...[PREPARE, LOGIN],
  rdmaLinks("initiator", "iser"),
  ...Object.values(INTERFACES),
];

/** One LUN as a session shows it. */
export interface SessionDisk {
  readonly lun: number;
  /** sda, sdb ... */
  readonly name: string;
  /** major:minor */
  readonly dev: string;
  readonly sectors: number;
}

/** One session as the kernel has it after login. */
export interface Session {
  readonly path: PathName;
  readonly sid: string;
  /** In the order of their LUNs. */
  readonly disks: readonly SessionDisk[];
  /** Everything read back, by its name in sysfs. */
  readonly values: Readonly<Record<string, string>>;
}

/** The target's portals, one on each path. */
const portals = (): readonly string[] => PATH_NAMES.map(path => `${guestAddress("target", path)}:${PORTAL_PORT}`);

/** Writes the configuration, starts iscsid and makes a node record for each portal. */
export const prepareInitiator = async (
  node: Node,
  timing: Timing,
  session: SessionParameters,
  transport: Transport,
  signal?: AbortSignal,
): Promise<void> => {
  const links = rdmaLinks("initiator", transport);
  const settings = [INITIATOR_IQN, iscsidConf(timing, session), neighbours("target"), TARGET_IQN];
  const args = [...settings, links, INTERFACES[transport], ...portals()];
  const { stdout } = await script(node, PREPARE, args, { signal });
  requireRdma("initiator", parsePairs(stdout));
};

const disksOf = (values: Readonly<Record<string, string>>): readonly SessionDisk[] =>
  Object.entries(values)
    .flatMap(([key, name]) => {
      const lun = /^disk\.(\d{1,3})$/.exec(key)?.[1];
      if (lun === undefined) return [];
      return [{ lun: Number(lun), name, dev: values[`dev.${lun}`] ?? "", sectors: Number(values[`sectors.${lun}`]) }];
    })
    .toSorted((a, b) => a.lun - b.lun);

export const parseSessions = (text: string): readonly Session[] =>
  text
    .split("--\n")
    .slice(1)
    .map(block => {
      const values = parsePairs(block);
      const path = pathOfAddress(values["persistent_address"] ?? "");
      if (path === undefined)
        throw new RigError(
          "RIG_ISCSI_SETUP",
          `A session has the address ${JSON.stringify(values["persistent_address"] ?? "")}, which is on no path of the lab.`,
        );
      return { path, sid: values["sid"] ?? "", disks: disksOf(values), values };
    })
    .toSorted((a, b) => a.path.localeCompare(b.path));

/** Logs in over every path and checks that what was negotiated is what the scenario asked for. */
export const login = async (
  node: Node,
  timing: Timing,
  parameters: SessionParameters,
  transport: Transport,
  { luns, cache }: Pick<Luns, "luns" | "cache">,
  signal?: AbortSignal,
): Promise<readonly Session[]> => {
  let text: string;
  try {
    text = (await script(node, LOGIN, [String(PATH_NAMES.length * luns)], { signal, timeoutMs: 40_000 })).stdout;
  } catch (error) {
    if (!(error instanceof RigError) || error.code !== "RIG_LAB_EXEC") throw error;
    throw new RigError("RIG_ISCSI_SETUP", `The initiator could not log in. ${error.message}`, { cause: error });
  }
  const sessions = parseSessions(text);
  for (const path of PATH_NAMES) {
    const session = sessions.find(candidate => candidate.path === path);
    if (session === undefined)
      throw new RigError("RIG_ISCSI_SETUP", `Expected a session over path ${path}; there is none.`);
    const expected: Record<string, string> = { ...expectedSysfs(timing, parameters, transport) };
    for (let lun = 0; lun < luns; lun++) {
      expected[`queue_depth.${lun}`] = String(parameters.queueDepth);
      if (cache === "volatile") expected[`write_cache.${lun}`] = "write back";
    }
    requireSame(`The session over path ${path}`, expected, session.values);
  }
  return sessions;
};
