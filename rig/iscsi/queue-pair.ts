/**
 * Reliable queue pairs (InfiniBand specification, volume 1, 9.7): the ends of an iSER connection. A sender keeps each packet
 * until it is acknowledged and sends it again after a time-out of seconds, whatever the layers above think of the connection
 * by then: what TCP's send queue is to iscsi_tcp. Both ends count packets: that the receiver expects the number which the
 * sender will give next means that nothing is left.
 */
import { RigError } from "../core/errors.ts";
import { NODE_NAMES, type NodeName, PATH_NAMES, type PathName } from "../core/names.ts";

export interface QueuePairState {
  readonly node: NodeName;
  readonly path: PathName;
  readonly number: number;
  /** The other end's number. */
  readonly peer: number;
  /** RESET, INIT, RTR, RTS, SQD, SQE, ERR. */
  readonly state: string;
  /** Number of the packet that comes after the furthest one that was sent. */
  readonly sent: number;
  /** Number of the packet that is expected next. */
  readonly received: number;
}

/** Packets are counted in 24 bits. */
const PACKETS = 2 ** 24;

/**
 * The state after `next` was seen. A sender that sends again counts back first (rxe_req.c, req_retry): for a moment it looks
 * as if all that it sent had arrived, so the furthest packet counts.
 */
export const followQueuePair = (known: QueuePairState | undefined, next: QueuePairState): QueuePairState => {
  if (known?.peer !== next.peer || known.state !== next.state) return next;
  const ahead = (next.sent - known.sent + PACKETS) % PACKETS;
  return ahead < PACKETS / 2 ? next : { ...next, sent: known.sent };
};

const maySend = ({ state }: QueuePairState): boolean => state === "RTS" || state === "SQD";
const mayReceive = ({ state }: QueuePairState): boolean => state === "RTR" || state === "RTS" || state === "SQD";

/**
 * Whether nothing that was sent over a path by RDMA can still arrive: what one end sent the other has received. An end in
 * error sends and takes no more, and a packet for a queue pair that is gone is thrown away. Both directions count, for the
 * target fetches the data of large writes from the initiator's memory by RDMA READ.
 */
export const queuePairsAreQuiet = (queuePairs: Iterable<QueuePairState>, path: PathName): boolean => {
  const here = [...queuePairs].filter(one => one.path === path);
  return here.filter(maySend).every(from =>
    here
      .filter(to => to.node !== from.node && to.number === from.peer && to.peer === from.number)
      .filter(mayReceive)
      .every(to => (from.sent - to.received) % PACKETS === 0),
  );
};

/**
 * Before the first fault both ends of both sessions must be seen: a watch that sees none would take every path for quiet.
 * @throws RIG_ISCSI_SETUP that names the end which is not.
 */
export const requireQueuePairs = (queuePairs: Iterable<QueuePairState>): void => {
  const ready = [...queuePairs].filter(({ state }) => state === "RTS");
  for (const node of NODE_NAMES) {
    for (const path of PATH_NAMES) {
      if (ready.some(one => one.node === node && one.path === path)) continue;
      throw new RigError(
        "RIG_ISCSI_SETUP",
        `Expected the ${node} to have a queue pair in state RTS on path ${path}, as its session over iser is logged in; its kernel tells of none, so nobody could say what is still to be sent. Look for it in a lab that is kept: rig shell ${node} -- rdma resource show qp`,
      );
    }
  }
};
