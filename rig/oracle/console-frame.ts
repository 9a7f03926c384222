/**
 * Whose fault a report is: the function that gives a bug its name. That is where the processor was (RIP), or the
 * innermost certain entry of the call trace, after passing over the functions that only carried the news: the reporting
 * itself, the checks that noticed, and the waiting and locking that everybody shares.
 */

const CARRIERS = [
  // Reporting.
  /^(?:__)?(?:dump_stack|show_stack|show_trace|print_\w+|describe_\w+|end_report|panic|nmi_panic|die|oops_\w+|report_bug|handle_bug)/,
  /^(?:__warn|warn_slowpath|__die|page_fault_oops|no_context|bad_area\w*|do_user_addr_fault|do_trap|do_error_trap|fixup_\w+)/,
  /^(?:exc_|asm_exc_|do_page_fault|do_kern_addr_fault|__do_page_fault|__bad_area|kernelmode_fixup|invalid_op|error_entry)/,
  // Checks.
  /^(?:__)?(?:kasan_|asan_|ubsan_|kfence_|kmsan_|kcsan_|check_memory_region|debug_check_no_obj|debug_print_object|debug_object)/,
  /^(?:__list_(?:add|del)\w*valid|refcount_warn|___?might_|__schedule_bug|check_preemption|debug_smp|nmi_cpu_backtrace)/,
  /^(?:rcu_dump|rcu_check_gp|check_cpu_stall|watchdog_|__touch|nmi_trigger|spin_(?:dump|bug)|handle_overflow|ubsan_epilogue)/,
  // Waiting.
  /^(?:__schedule|schedule|io_schedule|preempt_schedule|(?:__|do_)?wait_for_common|wait_for_completion|__?wait_on_bit|bit_wait)/,
  /^(?:folio_wait_|wait_on_page_|(?:__)?filemap_fdatawait|file(?:map)?_write_and_wait)/,
  /^(?:out_of_line_wait|__folio_lock|__lock_page|rwsem_|__rwsem|down_|__down|percpu_down|__percpu_)/,
  // Locking and copying.
  /^(?:__?mutex_lock|mutex_lock|__ww_mutex|rt_mutex|_raw_|do_raw_|native_queued_|queued_(?:spin|read|write)|lock_acquire|__lock_acquire)/,
  /^(?:__?mem(?:cpy|move|set|cmp)|memcpy|memset|memmove|rep_(?:movs|stos)_alternative|clear_page|copy_page)/,
];

/** The name without what compilers append. */
const plainName = (name: string): string => name.replace(/\.(?:isra|part|constprop|cold|llvm|lto_priv|clone)\b.*$/, "");

export const isCarrier = (name: string): boolean => CARRIERS.some(pattern => pattern.test(name));

const RIP = /^(?:RIP: 0010:|pc : )([A-Za-z_][\w.]*)\+0x/;
const TRACE = /^Call [Tt]race:/;
const ENTRY = /^\s*(\? )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+\/0x[0-9a-f]+/;

/** Whether the report has come to the part that names functions. */
export const namesFunction = (message: string): boolean => RIP.test(message) || TRACE.test(message);

/**
 * The function that gives the report its name.
 * @param messages the report's lines without their prefixes.
 * @param opening the function that the opening line names, where it does.
 */
export const frameOf = (messages: readonly string[], opening: string | undefined): string | undefined => {
  if (opening !== undefined && !isCarrier(plainName(opening))) return plainName(opening);
  const rip = messages.map(message => RIP.exec(message)?.[1]).find(name => name !== undefined);
  if (rip !== undefined && !isCarrier(plainName(rip))) return plainName(rip);
  const begin = messages.findIndex(message => TRACE.test(message));
  const trace = begin < 0 ? [] : messages.slice(begin + 1);
  for (const message of trace) {
    const entry = ENTRY.exec(message);
    if (entry === null || entry[1] !== undefined) continue;
    const name = plainName(entry[2] ?? "");
    if (!isCarrier(name)) return name;
  }
  const last = rip ?? opening;
  return last === undefined ? undefined : plainName(last);
};
