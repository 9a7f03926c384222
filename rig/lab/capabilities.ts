/**
 * What the host's kernel offers inside a node's container, found out by trying it there: kernels differ, and only a rule
 * or a qdisc that was accepted proves that faults can use it.
 */
import type Docker from "dockerode";
import { deadline, orAbort } from "../core/clock.ts";
import type { NodeImage } from "../image/node-image.ts";
import { demuxLog } from "./docker-log.ts";
import { LABEL, thisOwner } from "./labels.ts";

export interface Capability {
  readonly name: string;
  readonly works: boolean;
  /** The first line of the complaint, where it does not. */
  readonly why: string;
}

/** Each try is one command; its status decides. */
const TRIES: Readonly<Record<string, string>> = {
  "bridge and tap": "ip link add br0 type bridge && ip tuntap add tap0 mode tap && ip link set tap0 master br0",
  "iptables physdev":
    "iptables -w 5 -I FORWARD -m physdev --physdev-is-bridged --physdev-in tap0 -m comment --comment probe -j DROP",
  "iptables statistic": "iptables -w 5 -I FORWARD -m statistic --mode random --probability 0.5 -j DROP",
  "tc netem": "tc qdisc add dev tap0 root netem delay 1ms; s=$?; tc qdisc del dev tap0 root 2> /dev/null; exit $s",
  "tc tbf":
    "tc qdisc add dev tap0 root tbf rate 1mbit burst 10kb latency 10ms; s=$?; tc qdisc del dev tap0 root 2> /dev/null; exit $s",
  "bridged packets pass iptables": '[ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables)" = 1 ]',
};

const SCRIPT = Object.entries(TRIES)
  .map(
    ([name, command]) =>
      `if why=$( { ${command}; } 2>&1 ); then echo "${name}|1|"; else echo "${name}|0|$why" | head -1; fi`,
  )
  .join("\n");

export const parseCapabilities = (lines: readonly string[]): readonly Capability[] =>
  lines.flatMap(line => {
    const [name, works, why] = line.split("|");
    return name === undefined || works === undefined || !(name in TRIES)
      ? []
      : [{ name, works: works === "1", why: (why ?? "").slice(0, 200) }];
  });

/** Tries everything in a container like a node's. */
export const probeCapabilities = async (docker: Docker, image: NodeImage): Promise<readonly Capability[]> => {
  const container = await docker.createContainer({
    Image: image.tag,
    Entrypoint: [],
    Cmd: ["sh", "-c", SCRIPT],
    Labels: { [LABEL.role]: "lab", [LABEL.lab]: "probe", [LABEL.run]: "probe", [LABEL.owner]: thisOwner() },
    HostConfig: {
      CapDrop: ["ALL"],
      CapAdd: ["NET_ADMIN"],
      Devices: [{ PathOnHost: "/dev/net/tun", PathInContainer: "/dev/net/tun", CgroupPermissions: "rwm" }],
      Sysctls: { "net.bridge.bridge-nf-call-iptables": "1" },
    },
  });
  try {
    await container.start();
    using limit = deadline(20_000, "the capability probe to end");
    await orAbort(container.wait() as Promise<unknown>, limit);
    const raw = await container.logs({ stdout: true, stderr: false });
    return parseCapabilities(demuxLog(Buffer.from(raw)));
  } finally {
    await container.remove({ force: true }).catch(() => undefined);
  }
};
