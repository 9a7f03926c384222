/**
 * A connection that died and that nobody noticed. Where a path drops everything, the configuration says by when the initiator
 * must know: NOP-Outs go unanswered. A kernel that does not notice leaves its commands waiting, and hides it as long as
 * nothing is sent over that path. With NOP-Outs off nobody need notice until something is sent, and then it is the hang
 * oracle's.
 */
import { eventsOf, heldUpNs, seconds } from "../history/view.ts";
import { type SessionFacts, wasLoggedOut } from "./session-facts.ts";
import { allowanceWords, type Draft, nameOf } from "./session-words.ts";
import { linesOf } from "./words.ts";

/** Beyond the configured time, for a machine that is slow and an iscsid that is busy. */
const SPARE_NS = 10e9;

/** The faults that let nothing at all through. Of others nobody can say that they must be noticed. */
const CUTS = /^path-drop:/;

/** The sessions that were not lost although they had to be. */
export const unnoticed = (facts: SessionFacts): Draft[] => {
  const limits = eventsOf(facts.history, "limits");
  return facts.faults.flatMap((span): Draft[] => {
    const { fault, on, injectEnd, healBegin, evidence } = span;
    const path = facts.sessions.find(({ event }) => on === `path ${event.path}`)?.event.path;
    if (injectEnd === undefined || path === undefined || !CUTS.test(fault)) return [];
    const fromNs = injectEnd.event.t;
    const toNs = Math.min(healBegin?.event.t ?? Number.POSITIVE_INFINITY, facts.untilNs);
    const limit = limits.findLast(({ event }) => event.t <= fromNs && event.noticeMs !== undefined);
    // Without proof that it bit there was nothing to notice, and without NOP-Outs nobody asks.
    if (
      limit?.event.noticeMs === undefined ||
      limit.event.noopMs === undefined ||
      !evidence.some(({ event }) => event.bit)
    )
      return [];
    const allowedNs = limit.event.noticeMs * 1e6 + SPARE_NS + heldUpNs(facts.history, toNs);
    if (toNs - fromNs <= allowedNs || wasLoggedOut(facts, path, fromNs + allowedNs)) return [];
    const own = facts.sessions.filter(({ event }) => event.path === path);
    const before = own.findLast(({ event }) => event.t <= fromNs);
    const lost = own.find(({ event }) => event.t > fromNs && event.state !== "LOGGED_IN");
    if (before?.event.state !== "LOGGED_IN" || (lost !== undefined && lost.event.t <= fromNs + allowedNs)) return [];
    const when = lost === undefined || lost.event.t > toNs ? "was not" : `was only at ${seconds(lost.event.t)}`;
    return [
      {
        class: "unnoticed",
        title: "a dead connection was not noticed",
        explanation: `${fault} let nothing through on path ${path} from ${seconds(fromNs)} to ${seconds(toNs)}. Expected: the kernel takes ${nameOf(before.event)} down within ${seconds(allowedNs)}, for the configuration has it notice a dead connection in ${limit.event.noticeMs} ms${allowanceWords(facts, toNs)}. It ${when}.`,
        lines: linesOf([injectEnd.line, before.line, lost?.line, healBegin?.line, limit.line]),
      },
    ];
  });
};
