/**
 * Does every session do what the kernel and iscsid together promise? A session is lost for a reason, both know of it, and
 * it comes back. Multipath hides a session that does not: I/O goes on over the other path, and no other oracle would notice.
 *
 * Most of what happens to sessions here is the rig's own doing, so each class says what excuses it:
 *
 * offline     the device answers nobody any more, though its path had been in order for long enough to log in again, or
 *             though nothing had happened to the connection that was lost; or it does so to the end while its session is
 *             logged in
 * split-view  the kernel has the session down while iscsid, alive, takes it for operational: nobody will log in again
 * stuck       a logout that was refused, never came back, or left the session where it was
 * unnoticed   a connection that was dead for longer than the configuration lets that go unnoticed
 * down        a session that is still not logged in when its path has been in order for long
 * unprovoked  a session lost though nothing was broken on its path, and its connection was made after the last fault
 *
 * One loss is told once, as the worst that became of it. Times allow for what instruments hold up.
 */
import type { EventOf, History } from "../history/event.ts";
import { heldUpNs, type Located, seconds } from "../history/view.ts";
import type { Finding } from "./finding.ts";
import type { Judgement, Oracle } from "./oracle.ts";
import {
  beliefsOf,
  DOWN_NS,
  inOrderSince,
  isOffline,
  isUnprovoked,
  type Loss,
  type SessionEvent,
  type SessionFacts,
  sessionFacts,
  wasLoggedOut,
} from "./session-facts.ts";
import { unnoticed } from "./session-unnoticed.ts";
import { allowanceWords, type Draft, faultWords, nameOf } from "./session-words.ts";
import { capital, linesOf } from "./words.ts";

/** iscsid hears of an error at once, and its logger writes once a second. */
const SPLIT_NS = 5e9;
/** In this time iscsid logs in again over a path that is in order: a login's own timer is 5 s, and it tries every few. */
const LOGIN_NS = 15e9;

/** Exit statuses by which iscsiadm says that iscsid did not even try (open-iscsi, iscsi_err.h). */
const NOT_TRIED = new Map([
  [18, "iscsid did not answer"],
  [20, "iscsid was not running"],
  [32, "iscsid was connecting the session anew"],
]);

const offline = (facts: SessionFacts, loss: Loss): Draft | undefined => {
  const { offline: at } = loss;
  if (at === undefined || wasLoggedOut(facts, loss.path, at.event.t)) return undefined;
  const allowedNs = LOGIN_NS + heldUpNs(facts.history, at.event.t);
  const sinceNs = inOrderSince(facts, loss.path, at.event.t);
  const unprovoked = isUnprovoked(facts, loss);
  if (!unprovoked && at.event.t - sinceNs < allowedNs) return undefined;
  const relation = faultWords(facts, loss.at.event.t);
  const why = unprovoked
    ? "Nothing was broken on its path then, and its connection had been made after the last fault was healed, so it had to stay"
    : `The path had been in order for ${seconds(at.event.t - sinceNs)} by then, and ${seconds(allowedNs)} is enough to log in again${allowanceWords(facts, at.event.t)}`;
  return {
    class: "offline",
    title: "a device went offline without a fault",
    explanation: `The device of ${nameOf(loss)} was ${at.event.device ?? "offline"} at ${seconds(at.event.t)}: its session was ${loss.at.event.state} at ${seconds(loss.at.event.t)}, ${relation.words}. ${why}.`,
    lines: linesOf([at.line, loss.at.line, relation.line]),
  };
};

/** A device that is offline to the end though its session, all of whose events these are, is logged in. */
const offlineLoggedIn = (facts: SessionFacts, own: readonly SessionEvent[]): Draft | undefined => {
  const at = own.at(-1);
  if (at?.event.state !== "LOGGED_IN" || !isOffline(at)) return undefined;
  if (wasLoggedOut(facts, at.event.path, facts.untilNs)) return undefined;
  const before = own.at(-2);
  // iscsid sets the device running right after a login, so what was offline by then has to stay so.
  const isOlder = before?.event.state !== "LOGGED_IN" || isOffline(before);
  const byNs = isOlder ? facts.untilNs : at.event.t;
  const sinceNs = Math.max(inOrderSince(facts, at.event.path, byNs), isOlder ? at.event.t : 0);
  const allowedNs = LOGIN_NS + heldUpNs(facts.history, byNs);
  if (byNs - sinceNs < allowedNs) return undefined;
  const relation = faultWords(facts, at.event.t);
  return {
    class: "offline",
    title: "a device stays offline while its session is logged in",
    explanation: `The device of ${nameOf(at.event)} was ${at.event.device ?? "offline"} at ${seconds(at.event.t)}, ${relation.words}, and stayed so, although its session was logged in and nothing had been broken on its path, and iscsid had been running, for ${seconds(byNs - sinceNs)} by ${seconds(byNs)}. Expected: it is running${allowanceWords(facts, byNs)}.`,
    lines: linesOf([at.line, relation.line]),
  };
};

const splitView = (facts: SessionFacts, loss: Loss): Draft | undefined => {
  if (wasLoggedOut(facts, loss.path, loss.at.event.t)) return undefined;
  const goneNs = facts.sessions.find(({ event }) => event.sid === loss.sid && event.state === "gone")?.event.t;
  const allowedNs = SPLIT_NS + heldUpNs(facts.history, loss.untilNs);
  for (const belief of beliefsOf(facts, loss.sid)) {
    const fromNs = Math.max(belief.fromNs, loss.at.event.t);
    const toNs = Math.min(belief.toNs, loss.untilNs, goneNs ?? Number.POSITIVE_INFINITY);
    if (toNs - fromNs <= allowedNs) continue;
    const relation = faultWords(facts, loss.at.event.t);
    const word = belief.line === undefined ? "since before the timeline" : `by its word at ${seconds(belief.fromNs)}`;
    return {
      class: "split-view",
      title: "the kernel has a session down that iscsid takes for operational",
      explanation: `The kernel had ${nameOf(loss)} ${loss.at.event.state} from ${seconds(loss.at.event.t)} on, ${relation.words}; iscsid took it for operational, ${word}, and both lasted for ${seconds(toNs - fromNs)}. Expected: iscsid hears of a lost connection within ${seconds(allowedNs)}${allowanceWords(facts, loss.untilNs)}. One that is not told does not log in again.`,
      lines: linesOf([loss.at.line, belief.line, relation.line]),
    };
  }
  return undefined;
};

const down = (facts: SessionFacts, loss: Loss): Draft | undefined => {
  const { untilNs } = facts;
  if (loss.recovered || wasLoggedOut(facts, loss.path, untilNs)) return undefined;
  // A session that iscsid gave up and made anew has another number.
  const anew = facts.sessions.some(
    ({ event }) => event.path === loss.path && event.sid !== loss.sid && event.t > loss.at.event.t,
  );
  const sinceNs = Math.max(loss.at.event.t, inOrderSince(facts, loss.path, untilNs));
  const allowedNs = DOWN_NS + heldUpNs(facts.history, untilNs);
  if (anew || untilNs - sinceNs < allowedNs) return undefined;
  const relation = faultWords(facts, sinceNs);
  const last = facts.sessions.findLast(({ event }) => event.sid === loss.sid);
  return {
    class: "down",
    title: "a session did not come back",
    explanation: `${capital(nameOf(loss))} was lost at ${seconds(loss.at.event.t)} and still ${last?.event.state ?? "down"} at ${seconds(untilNs)}, although nothing had been broken on its path, and iscsid had been running, for ${seconds(untilNs - sinceNs)}. Expected: it is logged in again within ${seconds(allowedNs)}${allowanceWords(facts, untilNs)}.`,
    lines: linesOf([loss.at.line, last?.line, relation.line]),
  };
};

const unprovoked = (facts: SessionFacts, loss: Loss): Draft | undefined => {
  if (!isUnprovoked(facts, loss)) return undefined;
  const relation = faultWords(facts, loss.at.event.t);
  return {
    class: "unprovoked",
    title: "a session was lost without a fault",
    explanation: `${capital(nameOf(loss))} was logged in and then ${loss.at.event.state} at ${seconds(loss.at.event.t)}, ${relation.words}. Expected: it stays logged in, for nothing was broken on its path and its connection had been made after the last fault was healed.`,
    lines: linesOf([loss.at.line, relation.line]),
  };
};

const wasIt = (exitCode: number | undefined, gone: boolean): string | undefined => {
  if (exitCode === undefined) return gone ? "a logout never returned" : "a logout never returned and the session stays";
  if (gone) return undefined;
  return exitCode === 0 ? "a session stays after its logout" : "a logout was refused and the session stays";
};

interface Logouts {
  readonly drafts: readonly Draft[];
  readonly blind: readonly string[];
}

const judgeLogout = (facts: SessionFacts, begin: Located<EventOf<"logout">>): Draft | string | undefined => {
  const { sid, path, withinMs = 0, t } = begin.event;
  const end = facts.logouts.find(({ event, line }) => event.sid === sid && event.edge === "end" && line > begin.line);
  const gone = facts.sessions.find(({ event }) => event.sid === sid && event.state === "gone" && event.t >= t);
  // Nobody waited for it to the end: a node died, or the cell was stopped.
  if (end === undefined) return undefined;
  const { exitCode, text } = end.event;
  const notTried = gone === undefined && exitCode !== undefined ? NOT_TRIED.get(exitCode) : undefined;
  if (notTried !== undefined)
    return `The logout of ${nameOf({ sid, path })} at ${seconds(t)} proves nothing: ${notTried} (iscsiadm returned ${exitCode}).`;
  const title = wasIt(exitCode, gone !== undefined);
  if (title === undefined) return undefined;
  const relation = faultWords(facts, t);
  const how =
    exitCode === undefined
      ? `did not return within ${withinMs} ms and was killed`
      : `returned ${exitCode} at ${seconds(end.event.t)}`;
  const said = text === undefined || text === "" ? "" : `, saying "${text}"`;
  const last = facts.sessions.findLast(({ event }) => event.sid === sid);
  const log = facts.history.events.findLastIndex(
    event => event.kind === "syslog" && /can not safely destroy|iferror/.test(event.line) && event.t >= t,
  );
  const quoted = facts.history.events[log];
  const why = quoted?.kind === "syslog" ? ` iscsid: "${quoted.line.slice(0, 200)}".` : "";
  const seen = gone === undefined ? `in sysfs it is still ${last?.event.state ?? "there"}` : "the session is gone";
  return {
    class: "stuck",
    title,
    explanation: `The logout of ${nameOf({ sid, path })} was asked for at ${seconds(t)}, ${relation.words}. Expected: it returns and the session is gone within ${withinMs} ms. iscsiadm ${how}${said}, and ${seen}.${why}`,
    lines: linesOf([end.line, begin.line, last?.line, log < 0 ? undefined : facts.history.lines[log], relation.line]),
  };
};

const judgeLogouts = (facts: SessionFacts): Logouts => {
  const judged = facts.logouts
    .filter(({ event }) => event.edge === "begin")
    .map(begin => judgeLogout(facts, begin))
    .filter(one => one !== undefined);
  return {
    drafts: judged.filter(one => typeof one !== "string"),
    blind: judged.filter(one => typeof one === "string"),
  };
};

/** The worst first; of one kind the earliest. */
const CLASSES = ["offline", "split-view", "stuck", "unnoticed", "down", "unprovoked"];

export const sessionOracle: Oracle = {
  name: "session",
  judge(history: History): Judgement {
    const facts = sessionFacts(history);
    if (facts.sessions.length === 0)
      return { findings: [], blind: "Nothing was seen of the initiator's sessions, so none could be judged." };
    const { drafts, blind } = judgeLogouts(facts);
    const lost = facts.losses.flatMap(loss => {
      const both = [offline(facts, loss), splitView(facts, loss)].filter(draft => draft !== undefined);
      return both.length > 0 ? both : [down(facts, loss) ?? unprovoked(facts, loss)];
    });
    const stays = Map.groupBy(facts.sessions, ({ event }) => event.sid)
      .values()
      .map(own => offlineLoggedIn(facts, own));
    const findings = [...drafts, ...unnoticed(facts), ...[...stays, ...lost].filter(draft => draft !== undefined)]
      .sort((a, b) => CLASSES.indexOf(a.class) - CLASSES.indexOf(b.class))
      .map((draft): Finding => ({ oracle: "session", ...draft }));
    return blind.length === 0 ? { findings } : { findings, blind: blind.join(" ") };
  },
};
