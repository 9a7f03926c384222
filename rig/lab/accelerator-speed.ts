/**
 * How fast the accelerator runs a guest: the time of a fixed piece of guest work, a boot sector that counts to 2^26 and tells
 * QEMU to exit. It is compared with what a machine needs on which 10 s to spare are plenty, and becomes a factor by which
 * the oracles' spare time is stretched. It is measured once, where the accelerator is chosen, and kept with the choice.
 *
 * A busy machine takes longer, so the best of three counts; a machine that is busy during a cell is the starvation check's.
 */

/** What the boot sector writes to isa-debug-exit; QEMU's exit status is twice that and one. */
const VALUE = 0x2a;
export const ANSWERED = VALUE * 2 + 1;

/** The work on a machine with a factor of 1, QEMU's own start included. Measured with TCG: 0.3 s where there is nothing else to do. */
const USUAL_MS = 500;
/** A machine beyond this is too slow for any verdict; --timeout-scale is there for it. */
const MOST = 10;

/** 512 bytes: mov ecx,COUNT; dec ecx; jnz $-2; mov al,VALUE; out 0xf4,al; hlt; jmp $-1. Written by the PC's rules for a boot sector. */
export const bootSector = (count: number): Buffer => {
  const sector = Buffer.alloc(512);
  sector.set([0x66, 0xb9]);
  sector.writeUInt32LE(count, 2);
  sector.set([0x66, 0x49, 0x75, 0xfc, 0xb0, VALUE, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd], 6);
  sector.set([0x55, 0xaa], 510);
  return sector;
};

export const WORK = 2 ** 26;

/** Runs a command three times and prints its status and how long it took, in microseconds, each time. */
const THREE_TIMES =
  'for i in 1 2 3; do a=$(date +%s%N); status=0; "$@" || status=$?; b=$(date +%s%N); echo "$status $(((b - a) / 1000))"; done';

/** The command that does the work three times. */
export const timedArgv = (argv: readonly string[]): readonly string[] => ["sh", "-c", THREE_TIMES, "sh", ...argv];

/** The factor from what that command printed: 1 at the least; 1 too where nothing was measured. */
export const factorOf = (said: string): number => {
  const times = said.split("\n").flatMap(line => {
    const [, status, us] = /^(\d{1,3}) (\d{1,12})$/.exec(line.trim()) ?? [];
    return Number(status) === ANSWERED ? [Number(us) / 1000] : [];
  });
  if (times.length === 0) return 1;
  const factor = Math.min(...times) / USUAL_MS;
  return Math.round(Math.min(MOST, Math.max(1, factor)) * 10) / 10;
};
