/**
 * One line for every kind of opening that the samples in testdata/console do not show, each followed by the same trace.
 */
import { expect, test } from "vitest";
import { reportsOf } from "./console-report.ts";

const TRACE = [
  "Call Trace:",
  " dump_stack+0x1/0x2",
  " ? guess+0x1/0x2",
  " iscsi_eh_abort.isra.0+0x1/0x2",
  " kthread+0x1/0x2",
];

const found = (line: string): string[] =>
  reportsOf([line, ...TRACE].map(text => `[    1.000001] ${text}`)).map(report => `${report.class}: ${report.title}`);

test.each([
  [
    "BUG: KFENCE: use-after-free read in iscsi_queuecommand+0x1/0x2",
    "bug: BUG: KFENCE: use-after-free read in iscsi_queuecommand",
  ],
  ["BUG: KASAN: double-free or invalid-free in kfree+0x1/0x2", "bug: BUG: KASAN: double-free or invalid-free in kfree"],
  ["BUG: KASAN: use-after-free in memcpy+0x1/0x2", "bug: BUG: KASAN: use-after-free in iscsi_eh_abort"],
  ["BUG: KASAN: null-ptr-deref in 0x0", "bug: BUG: KASAN: null-ptr-deref in iscsi_eh_abort"],
  ["BUG: KCSAN: data-race in iscsi_suspend_tx / iscsi_data_xmit", "bug: BUG: KCSAN: data-race in iscsi_suspend_tx"],
  ["ODEBUG: free active (active state 0) object type: timer_list", "warning: WARNING: ODEBUG bug in iscsi_eh_abort"],
  [
    "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010",
    "oops: NULL pointer dereference in iscsi_eh_abort",
  ],
  [
    "BUG: unable to handle kernel paging request at ffffffffc0a12345",
    "oops: unable to handle page fault in iscsi_eh_abort",
  ],
  [
    "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010",
    "oops: NULL pointer dereference in iscsi_eh_abort",
  ],
  [
    "Unable to handle kernel paging request at virtual address dead000000000108",
    "oops: unable to handle page fault in iscsi_eh_abort",
  ],
  ["Internal error: Oops: 0000000096000004 [#1] SMP", "oops: Oops in iscsi_eh_abort"],
  ["Internal error: synchronous external abort: 96000210 [#1] SMP", "oops: Oops in iscsi_eh_abort"],
  ["divide error: 0000 [#1] SMP NOPTI", "oops: divide error in iscsi_eh_abort"],
  ["Oops: divide error: 0000 [#1] SMP NOPTI", "oops: divide error in iscsi_eh_abort"],
  ["traps: PANIC: double fault, error_code: 0x0", "oops: double fault in iscsi_eh_abort"],
  ["NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", "lockup: hard LOCKUP in iscsi_eh_abort"],
  ["BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 34s!", "lockup: workqueue lockup"],
  ["BUG: spinlock bad magic on CPU#0, kworker/0:1/12", "bug: BUG: spinlock bad magic in iscsi_eh_abort"],
  ["BUG: spinlock lockup suspected on CPU#1, iscsid/301", "bug: BUG: spinlock lockup suspected in iscsi_eh_abort"],
  ["BUG: Bad page state in process iscsid  pfn:12345", "bug: BUG: Bad page state"],
  ["BUG: Bad rss-counter state mm:00000000f5a2c1a3 type:MM_ANONPAGES val:1", "bug: BUG: Bad rss-counter state"],
  [
    "BUG: using smp_processor_id() in preemptible [00000000] code: iscsid/301",
    "bug: BUG: using smp_processor_id() in preemptible in iscsi_eh_abort",
  ],
  ["BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12", "bug: BUG: workqueue leaked lock or atomic"],
  ["BUG iscsi_cmd_cache (Not tainted): Object already free", "bug: BUG: Object already free in iscsi_cmd_cache"],
  ["BUG: something new that nobody knows: 12345", "bug: BUG: something new that nobody knows in iscsi_eh_abort"],
  [
    "BUG: TASK stack guard page was hit at ffffc90000a3ff58 (stack is a..b)",
    "bug: BUG: TASK stack guard page was hit in iscsi_eh_abort",
  ],
  ["BUG: new trouble at deadbeef, by iscsid/301", "bug: BUG: new trouble in iscsi_eh_abort"],
  ["[ BUG: Invalid wait context ]", "bug: BUG: Invalid wait context"],
  ["watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1", "lockup: hard LOCKUP in iscsi_eh_abort"],
  ["INFO: trying to register non-static key.", "bug: INFO: trying to register non-static key in iscsi_eh_abort"],
  ["INFO: task iscsid:301 blocked in I/O wait for more than 120 seconds.", "hung-task: task hung in iscsi_eh_abort"],
  ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu-stall: rcu stall in iscsi_eh_abort"],
  [
    "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies",
    "rcu-stall: rcu stall in iscsi_eh_abort",
  ],
  [
    "WARNING: drivers/scsi/libiscsi.c:531 at iscsi_free_task+0x1/0x2, CPU#1: kworker/1:1/12",
    "warning: WARNING in iscsi_free_task",
  ],
  ["WARNING: CPU: 0 PID: 1 at drivers/scsi/libiscsi.c:531 0xffffffffc0a12345", "warning: WARNING in iscsi_eh_abort"],
  ["WARNING: suspicious RCU usage", "warning: suspicious RCU usage"],
  ["WARNING: possible recursive locking detected", "warning: possible recursive locking detected"],
  ["WARNING: inconsistent lock state", "warning: inconsistent lock state"],
  ["WARNING: bad unlock balance detected!", "warning: bad unlock balance detected"],
  ["WARNING: bad contention detected!", "warning: bad contention detected"],
  ["WARNING: Nested lock was not taken", "warning: Nested lock was not taken"],
  [
    "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
    "warning: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
  ],
  [
    "WARNING: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected",
    "warning: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected",
  ],
  ["WARNING: iscsid/301 still has locks held!", "warning: WARNING: still has locks held"],
])("%s", (line, expected) => {
  expect(found(line)).toEqual([expected]);
});

test.each([
  "BUG: MAX_LOCKDEP_ENTRIES too low!",
  "DEBUG: iscsi_eh_abort",
  "Oops, I did it again",
  "WARNING: out of paper",
  "kernel BUG reports are welcome",
  "INFO: task list: 12",
  "list_add: 3 items",
  "---[ end Kernel panic - not syncing: Fatal exception ]---",
])("%s is no report", line => {
  expect(found(line)).toEqual([]);
});

test("a report that names no function has none in its title", () => {
  expect(reportsOf(["Oops: 0000 [#1] SMP"]).map(({ title, frame }) => ({ title, frame }))).toEqual([
    { title: "Oops", frame: undefined },
  ]);
});
