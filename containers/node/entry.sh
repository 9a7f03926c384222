#!/bin/sh
# SPDX-License-Identifier: MIT
# First process of a node's container: joins each path's interface and a tap for the guest into one bridge, then becomes
# QEMU, so that the microVM dies with its container and the container with its microVM.
#
# RIG_PATHS: NAME=ADDRESS ... ; the interface that has ADDRESS (given by Docker) becomes path NAME: bridge br-NAME with
#            ports up-NAME (towards the peer) and tap-NAME (towards the guest).
set -eu
for path in $RIG_PATHS; do
  name=${path%%=*}
  address=${path#*=}
  device=$(ip -o -4 addr show | awk -v want="$address" '{ split($4, a, "/"); if (a[1] == want) print $2 }')
  [ -n "$device" ] || { echo "rig-node: no interface has the address $address of path $name" >&2; exit 70; }
  ip addr flush dev "$device"
  ip link set "$device" down
  ip link set "$device" name "up-$name"
  # A fixed address, the same in every lab: a guest restored from a snapshot must not meet a new one.
  ip link add "br-$name" address "52:54:00:0f:00:0$RIG_NODE_NUMBER" type bridge mcast_snooping 0 forward_delay 0
  ip tuntap add "tap-$name" mode tap
  for port in "up-$name" "tap-$name"; do
    ip link set "$port" master "br-$name"
    ip link set "$port" up
  done
  ip link set "br-$name" up
done
echo "rig-node: paths ready" >&2
exec "$@"
