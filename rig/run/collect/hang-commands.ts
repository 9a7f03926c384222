/**
 * What is run in a guest that hangs, to see its sessions, multipath and sockets. What hangs is what these commands look at, and
 * a process that waits in the kernel cannot be killed. So none is waited for: each writes into a file, and when its time is up
 * the script goes on with what is there. It ends before whoever asked gives up, who would have nothing of it then.
 *
 * Arguments: the seconds that a part may take, and those of all parts together.
 */
export const HANG_COMMANDS = `
dir=$(mktemp -d)
count=0
now() { read -r now rest < /proc/uptime; now=\${now%.*}; }
now
end=$((now + $2))
part_s=$1

# Runs the function or command, and shows what it has said by the time that it has.
part() {
  now
  if [ "$now" -ge "$end" ]; then echo "(no time left)"; return; fi
  count=$((count + 1))
  out=$dir/$count
  limit=$((now + part_s))
  if [ "$limit" -gt "$end" ]; then limit=$end; fi
  : > "$out"
  ( "$@" > "$out" 2>&1 || echo "(status $?)" >> "$out"; : > "$out.done" ) < /dev/null > /dev/null 2>&1 &
  until [ -e "$out.done" ] || [ "$now" -gt "$limit" ]; do sleep 0.05; now; done
  cat "$out"
  [ -e "$out.done" ] || echo "(it did not end)"
}
show() { echo "== $*"; part timeout -s KILL "$part_s" "$@"; }
files() { for file in "$@"; do [ -f "$file" ] || continue; echo "$file: $(timeout -s KILL 2 head -c 400 "$file" 2>&1 | tr '\\n' ' ')"; done; }

for pid in $(pidof iscsid iscsiadm rig-nbd || true); do
  echo "== stack of $(cat /proc/$pid/comm) ($pid)"
  part cat /proc/$pid/stack
done
show dmsetup info
show dmsetup table
show dmsetup status --noflush
if [ -d /sys/class/iscsi_session ]; then
  show iscsiadm -m session -P 3
  echo "== sessions in sysfs"
  part files /sys/class/iscsi_session/*/state /sys/class/iscsi_session/*/recovery_tmo /sys/class/iscsi_connection/*/state /sys/class/scsi_device/*/device/state /sys/block/*/inflight
fi
if [ -d /sys/kernel/config/target/iscsi ]; then
  echo "== the target in configfs"
  part files /sys/kernel/config/target/iscsi/*/tpgt_1/acls/*/info /sys/kernel/config/target/iscsi/*/tpgt_1/dynamic_sessions /sys/kernel/config/target/iscsi/*/fabric_statistics/iscsi_instance/sessions
fi
show ss -tnoie
show ps -eLo pid,tid,stat,wchan:32,comm
rm -rf "$dir"
`;
