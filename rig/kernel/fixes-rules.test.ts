/**
 * The rules of kernels/fixes.yaml against kernels in outline: the calls of each function that a rule looks at, in their
 * order, and no more. For each fix there is an outline without it, and one that is neither with nor without it.
 */
import { describe, expect, test } from "vitest";
import { type Answer, auditSource } from "./audit.ts";
import { loadFixes } from "./fixes.ts";

type Outline = Readonly<Record<string, string>>;
type Kernel = Readonly<Record<"transport" | "libiscsi" | "tcp", Outline>>;

/** A kernel with every fix. */
const FIXED: Kernel = {
  transport: {
    iscsi_endpoint_release: "idr_remove(&iscsi_ep_idr, ep->id); kfree(ep);",
    iscsi_create_endpoint: "id = idr_alloc(&iscsi_ep_idr, ep, 1, -1, GFP_NOIO);",
    session_recovery_timedout:
      "scsi_target_unblock(dev, OFFLINE); session->transport->session_recovery_timedout(session);",
    iscsi_unblock_session:
      "cancel_work_sync(&session->block_work); queue_work(q, &session->unblock_work); flush_work(&session->unblock_work);",
    __iscsi_unbind_session:
      "session->target_state = ISCSI_SESSION_TARGET_UNBINDING; iscsi_session_event(session, UNBIND);",
    iscsi_stop_conn: `switch (flag) {
      case STOP_CONN_RECOVER: WRITE_ONCE(conn->state, ISCSI_CONN_FAILED); break;
      case STOP_CONN_TERM: WRITE_ONCE(conn->state, ISCSI_CONN_DOWN); break;
      } conn->transport->stop_conn(conn, flag);`,
    iscsi_ep_disconnect: "t->unbind_conn(conn, is_active); t->ep_disconnect(ep);",
    iscsi_if_disconnect_bound_ep: `if (bit) iscsi_ep_disconnect(conn, is_active);
      else { flush_work(&conn->cleanup_work); iscsi_put_endpoint(ep); }`,
    iscsi_if_stop_conn: `iscsi_if_disconnect_bound_ep(conn, conn->ep, true);
      if (flag == STOP_CONN_TERM) { cancel_work_sync(&conn->cleanup_work); iscsi_stop_conn(conn, flag); }
      else { spin_lock_irq(&conn->lock); if (!test_and_set_bit(ISCSI_CLS_CONN_BIT_CLEANUP, &conn->flags))
        iscsi_stop_conn(conn, flag); else flush_work(&conn->cleanup_work); }`,
    iscsi_cleanup_conn_work_fn: `get_device(&conn->ep->dev); iscsi_ep_disconnect(conn, false);
      if (system_state != SYSTEM_RUNNING) { if (session->recovery_tmo > 0) session->recovery_tmo = 0; }
      iscsi_stop_conn(conn, STOP_CONN_RECOVER);`,
    iscsi_conn_error_event: `spin_lock_irqsave(&conn->lock, flags); state = READ_ONCE(conn->state); switch (state) {
      case ISCSI_CONN_BOUND: case ISCSI_CONN_UP:
        if (!test_and_set_bit(ISCSI_CLS_CONN_BIT_CLEANUP, &conn->flags)) { queue_work(workq, &conn->cleanup_work); } break;
      } spin_unlock_irqrestore(&conn->lock, flags);`,
    iscsi_if_destroy_conn: "flush_work(&conn->cleanup_work); transport->destroy_conn(conn);",
    iscsi_if_set_param: `switch (param) { default: state = READ_ONCE(conn->state);
      if (state == ISCSI_CONN_BOUND || state == ISCSI_CONN_UP) { err = transport->set_param(conn, data); }
      else { return -ENOTCONN; } }`,
    iscsi_if_ep_disconnect:
      "transport->ep_disconnect(ep); iscsi_if_disconnect_bound_ep(conn, ep, false); iscsi_put_endpoint(ep);",
    iscsi_if_transport_conn: `if (test_bit(ISCSI_CLS_CONN_BIT_CLEANUP, &conn->flags)) { ev->r.retcode = -ENOTCONN; return 0; }
      ev->r.retcode = transport->bind_conn(session, conn); WRITE_ONCE(conn->state, ISCSI_CONN_BOUND);`,
    iscsi_if_recv_msg: `switch (type) { case ISCSI_UEVENT_DESTROY_SESSION: if (iscsi_session_has_conns(sid)) err = -EBUSY;
      else transport->destroy_session(session); }`,
  },
  libiscsi: {
    iscsi_alloc_mgmt_task: `if (session->state == ISCSI_STATE_TERMINATE ||
      !test_bit(ISCSI_CONN_FLAG_BOUND, &conn->flags)) return NULL;`,
    iscsi_send_nopout: `if (READ_ONCE(conn->ping_task)) return; task = iscsi_alloc_mgmt_task(conn);
      WRITE_ONCE(conn->ping_task, task); iscsi_send_mgmt_task(task);`,
    iscsi_exec_task_mgmt_fn: "wait_event_interruptible(session->ehwait, done);",
    iscsi_conn_unbind: "clear_bit(ISCSI_CONN_FLAG_BOUND, &conn->flags); iscsi_set_conn_failed(conn);",
    iscsi_eh_abort: `if (!task || !task->sc) return SUCCESS; iscsi_get_conn(cls); iscsi_exec_task_mgmt_fn(conn, hdr);
      success: iscsi_put_conn(cls);`,
    iscsi_eh_session_reset: `iscsi_get_conn(cls); iscsi_conn_failure(conn, RST); iscsi_put_conn(cls);
      wait_event_interruptible(session->ehwait, done);`,
    iscsi_conn_stop: "fail_scsi_tasks(conn);",
  },
  tcp: {
    iscsi_sw_tcp_release_conn: `kernel_sock_shutdown(sock, SHUT_RDWR); mutex_lock(&tcp_sw_conn->sock_lock);
      tcp_sw_conn->sock = NULL; sockfd_put(sock);`,
    iscsi_sw_tcp_conn_bind: "sk_set_memalloc(sk); sock_no_linger(sk);",
    iscsi_sw_tcp_conn_get_param: "mutex_lock(&tcp_sw_conn->sock_lock);",
    iscsi_sw_tcp_session_create: "iscsi_tcp_r2tpool_alloc(session); tcp_sw_host->session = session;",
    iscsi_sw_tcp_session_destroy: "iscsi_session_remove(s); iscsi_host_remove(h, false); iscsi_session_free(s);",
  },
};

/** The kernel's own recovery as it was before 23d6fefbb3f6. */
const BEFORE_SEED: Outline = {
  iscsi_cleanup_conn_work_fn: "",
  iscsi_if_disconnect_bound_ep: "",
  iscsi_stop_conn: "",
  iscsi_ep_disconnect: "",
  iscsi_if_transport_conn: "",
  stop_conn_work_fn: `session->recovery_tmo = 0; if (system_state != SYSTEM_RUNNING) iscsi_if_stop_conn(conn, STOP_CONN_TERM);
    else iscsi_if_stop_conn(conn, STOP_CONN_RECOVER);`,
  iscsi_if_stop_conn: `mutex_lock(&conn_mutex); switch (flag) {
    case STOP_CONN_RECOVER: conn->state = ISCSI_CONN_FAILED; break; case STOP_CONN_TERM: conn->state = ISCSI_CONN_DOWN; break;
    } conn->transport->stop_conn(conn, flag);`,
  iscsi_conn_error_event:
    "list_add(&conn->conn_list_err, &connlist_err); queue_work(system_unbound_wq, &stop_conn_work);",
  iscsi_if_destroy_conn: "if (!list_empty(&conn->conn_list_err)) { return -EAGAIN; } transport->destroy_conn(conn);",
  iscsi_if_ep_disconnect: "transport->unbind_conn(conn, is_active); transport->ep_disconnect(ep);",
  iscsi_if_recv_msg: `switch (type) { case ISCSI_UEVENT_DESTROY_SESSION: if (iscsi_session_has_conns(sid)) err = -EBUSY;
    else transport->destroy_session(session); break; case BIND: if (conn->ep) iscsi_if_ep_disconnect(transport, ep, true);
    transport->bind_conn(session, conn); conn->state = ISCSI_CONN_BOUND; }`,
};

type Changes = Partial<Record<keyof Kernel, Outline>>;

const { files, rules, fixes } = await loadFixes();

/** What an audit of the outline says, by id. A function whose outline is empty is not there. */
const audit = (changes: Changes = {}): ReadonlyMap<string, Answer> => {
  const sources = new Map(
    (["transport", "libiscsi", "tcp"] as const).map(name => {
      const functions = Object.entries({ ...FIXED[name], ...changes[name] }).filter(([, body]) => body !== "");
      return [files[name] ?? "", functions.map(([f, body]) => `static int ${f}(void)\n{\n\t${body}\n}\n`).join("\n")];
    }),
  );
  const answers = auditSource({ files, rules, fixes }, sources);
  return new Map(answers.flatMap(answer => [answer, ...answer.parts]).map(answer => [answer.id, answer]));
};

test("in a kernel with every fix every fix is present", () => {
  const open = [...audit().values()].filter(({ verdict }) => verdict !== "present");
  expect(open.map(({ id, verdict, why }) => `${id} ${verdict}: ${why}`)).toEqual([]);
});

const transport = (outline: Outline): Changes => ({ transport: outline });
const libiscsi = (outline: Outline): Changes => ({ libiscsi: outline });
const tcp = (outline: Outline): Changes => ({ tcp: outline });
const {
  iscsi_conn_error_event: ERROR_EVENT = "",
  iscsi_cleanup_conn_work_fn: WORK = "",
  iscsi_if_stop_conn: STOP = "",
} = FIXED.transport;

/** For each fix: a kernel without it, and one of which nobody can say. */
const WITHOUT: readonly (readonly [id: string, without: Changes, neither: Changes])[] = [
  [
    "23d6fefbb3f6 (1)",
    transport({ iscsi_cleanup_conn_work_fn: "iscsi_stop_conn(conn, STOP_CONN_RECOVER);" }),
    transport({ iscsi_cleanup_conn_work_fn: "recover(conn);" }),
  ],
  [
    "23d6fefbb3f6 (2)",
    transport({ iscsi_cleanup_conn_work_fn: "iscsi_stop_conn(conn, RECOVER); iscsi_ep_disconnect(conn, false);" }),
    transport({ iscsi_cleanup_conn_work_fn: "iscsi_ep_disconnect(conn, false); give_up(conn);" }),
  ],
  [
    "23d6fefbb3f6 (3)",
    transport({ iscsi_if_stop_conn: STOP.replace("flush_work(&conn->cleanup_work)", "return") }),
    transport({ iscsi_if_transport_conn: "maybe(ISCSI_CLS_CONN_BIT_CLEANUP); t->bind_conn(s); x(ISCSI_CONN_BOUND);" }),
  ],
  [
    "23d6fefbb3f6 (4)",
    transport({ iscsi_if_destroy_conn: "if (pending) return -EAGAIN; transport->destroy_conn(conn);" }),
    transport({ iscsi_if_destroy_conn: "transport->destroy_conn(conn);" }),
  ],
  [
    "c0920cd36f17",
    tcp({ iscsi_sw_tcp_conn_bind: "sk_set_memalloc(sk);" }),
    tcp({ iscsi_sw_tcp_conn_bind: "sk_set_memalloc(sk);", close: "kernel_setsockopt(sock, SO_LINGER);" }),
  ],
  [
    "788b71c54f21",
    tcp({ iscsi_sw_tcp_release_conn: "sockfd_put(sock);" }),
    tcp({ iscsi_sw_tcp_release_conn: "sockfd_put(sock); kernel_sock_shutdown(sock, SHUT_RDWR);" }),
  ],
  [
    "cbd2283aaf47",
    transport({ iscsi_if_stop_conn: STOP.replace("iscsi_if_disconnect_bound_ep(conn, conn->ep, true);", "") }),
    transport({
      iscsi_if_stop_conn: `${STOP.replace("iscsi_if_disconnect_bound_ep(conn, conn->ep, true);", "")} iscsi_ep_disconnect(c);`,
    }),
  ],
  [
    "3c6ae371b8a1",
    transport({ iscsi_endpoint_release: "kfree(ep);", iscsi_create_endpoint: "class_find_device(c, NULL, &id);" }),
    transport({ iscsi_endpoint_release: "kfree(ep);" }),
  ],
  [
    "0aadafb5c344",
    transport({ iscsi_cleanup_conn_work_fn: WORK.replace("get_device(&conn->ep->dev);", "") }),
    transport({ iscsi_if_disconnect_bound_ep: "flush_work(&conn->cleanup_work);" }),
  ],
  [
    "7c6e99c18167",
    transport({
      iscsi_conn_error_event: ERROR_EVENT.replaceAll("&conn->lock", "&x"),
      iscsi_if_stop_conn: STOP.replace("spin_lock_irq(&conn->lock);", ""),
    }),
    transport({ iscsi_if_stop_conn: STOP.replace("spin_lock_irq(&conn->lock);", "") }),
  ],
  [
    "03690d819745",
    transport({
      iscsi_conn_error_event: `spin_lock_irqsave(&conn->lock, flags);
        if (!test_and_set_bit(ISCSI_CLS_CONN_BIT_CLEANUP, &conn->flags)) queue_work(workq, &conn->cleanup_work);
        spin_unlock_irqrestore(&conn->lock, flags);`,
    }),
    transport({ iscsi_conn_error_event: ERROR_EVENT.replace("case ISCSI_CONN_BOUND:", "") }),
  ],
  [
    "06c203a5566b",
    transport({ iscsi_cleanup_conn_work_fn: `${WORK} iscsi_stop_conn(conn, STOP_CONN_TERM);` }),
    transport({
      iscsi_cleanup_conn_work_fn: "iscsi_ep_disconnect(conn, false); iscsi_stop_conn(conn, STOP_CONN_RECOVER);",
    }),
  ],
  [
    "7e7cd796f277",
    transport({ iscsi_cleanup_conn_work_fn: `mutex_lock(&rx_queue_mutex); ${WORK}` }),
    transport({ iscsi_stop_conn: "mutex_lock(&rx_queue_mutex); t->stop_conn(conn, flag);" }),
  ],
  [
    "891e2639deae",
    {
      transport: { iscsi_ep_disconnect: "", iscsi_if_ep_disconnect: "transport->ep_disconnect(ep);" },
      libiscsi: { iscsi_conn_unbind: "" },
    },
    libiscsi({ iscsi_conn_unbind: "suspend(conn);" }),
  ],
  [
    "44ac97109e42",
    libiscsi({ iscsi_alloc_mgmt_task: "if (session->state == ISCSI_STATE_TERMINATE) return NULL;" }),
    libiscsi({ iscsi_conn_unbind: "iscsi_set_conn_failed(conn);" }),
  ],
  [
    "9e67600ed6b8",
    transport({ iscsi_if_set_param: "switch (param) { default: err = transport->set_param(conn, data); }" }),
    transport({ iscsi_if_transport_conn: "transport->bind_conn(session, conn);" }),
  ],
  [
    "0dcf8febcb7b",
    {
      transport: {
        iscsi_stop_conn: "",
        iscsi_if_stop_conn: "conn->transport->stop_conn(conn, flag); conn->state = ISCSI_CONN_DOWN;",
      },
      libiscsi: { iscsi_conn_stop: "cls_conn->state = ISCSI_CONN_FAILED;" },
    },
    transport({ iscsi_stop_conn: "conn->transport->stop_conn(conn, flag);" }),
  ],
  [
    "187a580c9e78",
    transport({
      iscsi_if_set_param: `switch (param) { default: err = transport->set_param(conn, data);
        if (conn->state == ISCSI_CONN_BOUND) err = transport->set_param(conn, data); else return -ENOTCONN; }`,
    }),
    transport({
      iscsi_if_set_param: "if (conn->state == ISCSI_CONN_BOUND) t->set_param(conn); else return -ENOTCONN;",
    }),
  ],
  [
    "7ce9fc5ecde0",
    transport({ iscsi_unblock_session: "queue_work(q, &session->unblock_work); flush_work(&session->unblock_work);" }),
    transport({
      iscsi_unblock_session: "queue_work(q, &x); flush_work(&session->unblock_work); flush_work(&session->block_work);",
    }),
  ],
  [
    "a0c2f8b6709a",
    transport({
      session_recovery_timedout: "t->session_recovery_timedout(session); scsi_target_unblock(dev, OFFLINE);",
    }),
    transport({ session_recovery_timedout: "t->session_recovery_timedout(session);" }),
  ],
  [
    "a3be19b91ea7",
    transport({
      __iscsi_unbind_session:
        "if (session->target_id == ISCSI_MAX_TARGET) goto out; iscsi_session_event(session, UNBIND);",
    }),
    transport({ __iscsi_unbind_session: "iscsi_session_event(session, UNBIND);" }),
  ],
  [
    "54155ed4199c",
    transport({
      iscsi_if_recv_msg: "switch (type) { case ISCSI_UEVENT_DESTROY_SESSION: transport->destroy_session(session); }",
    }),
    transport({ iscsi_if_recv_msg: "transport->destroy_session(session); iscsi_session_has_conns(sid);" }),
  ],
  [
    "ec29d0ac29be",
    libiscsi({
      iscsi_exec_task_mgmt_fn: "wait_event_interruptible(conn->ehwait, done);",
      iscsi_eh_session_reset: "iscsi_conn_failure(conn, RST); wait_event_interruptible(conn->ehwait, done);",
    }),
    libiscsi({ iscsi_exec_task_mgmt_fn: "wait_event_interruptible(conn->ehwait, done);" }),
  ],
  [
    "d39df158518c",
    libiscsi({ iscsi_eh_abort: "if (!task->sc) goto success; iscsi_exec_task_mgmt_fn(conn, hdr);" }),
    libiscsi({ iscsi_eh_abort: "iscsi_exec_task_mgmt_fn(conn, hdr); iscsi_put_conn(cls);" }),
  ],
  [
    "258aad75c621",
    libiscsi({
      iscsi_eh_abort:
        "iscsi_get_conn(cls); if (!task || !task->sc) goto success; iscsi_exec_task_mgmt_fn(conn, hdr); iscsi_put_conn(cls);",
    }),
    libiscsi({ iscsi_eh_abort: "iscsi_get_conn(cls); iscsi_exec_task_mgmt_fn(conn, hdr); iscsi_put_conn(cls);" }),
  ],
  [
    "fda290c5ae98",
    libiscsi({
      iscsi_eh_session_reset: "iscsi_conn_failure(conn, RST); wait_event_interruptible(session->ehwait, done);",
    }),
    libiscsi({ iscsi_eh_session_reset: "iscsi_conn_failure(conn, RST); iscsi_get_conn(cls);" }),
  ],
  [
    "fe0a8a95e713",
    libiscsi({ iscsi_send_nopout: "task = __iscsi_conn_send_pdu(conn, hdr); conn->ping_task = task;" }),
    libiscsi({ iscsi_send_nopout: "if (conn->ping_task) return; iscsi_send_mgmt_task(task);" }),
  ],
  [
    "57569c37f0ad",
    tcp({
      iscsi_sw_tcp_release_conn:
        "kernel_sock_shutdown(sock); spin_lock_bh(&session->frwd_lock); tcp_sw_conn->sock = NULL; sockfd_put(sock);",
      iscsi_sw_tcp_conn_get_param: "sock_hold(sock->sk);",
    }),
    tcp({ iscsi_sw_tcp_conn_get_param: "sock_hold(sock->sk);" }),
  ],
  [
    "f484a794e4ee",
    tcp({ iscsi_sw_tcp_session_create: "tcp_sw_host->session = session; iscsi_tcp_r2tpool_alloc(session);" }),
    tcp({ iscsi_sw_tcp_session_create: "tcp_sw_host->session = session;" }),
  ],
  [
    "6f1d64b13097",
    tcp({ iscsi_sw_tcp_session_destroy: "iscsi_session_teardown(s); iscsi_host_remove(h);" }),
    tcp({ iscsi_sw_tcp_session_destroy: "iscsi_host_remove(h);" }),
  ],
];

test("there is an outline without each fix", () => {
  const wanted = fixes.flatMap(({ id, parts }) => (parts.length === 0 ? [id] : parts.map(part => part.id)));
  expect(WITHOUT.map(([id]) => id).toSorted()).toEqual(wanted.toSorted());
});

describe.each(WITHOUT)("%s", (id, without, neither) => {
  test("is absent where the code is without it, and the places are told", () => {
    const answer = audit(without).get(id);
    expect(answer?.verdict).toBe("absent");
    expect(answer?.evidence).not.toEqual([]);
  });

  test("is unknown where the code is neither", () => {
    expect(audit(neither).get(id)?.verdict).toBe("unknown");
  });
});

describe("kernels of other ages:", () => {
  test("before 23d6fefbb3f6 all four defects are there, and its follow-ups have nothing to mend", () => {
    const answers = audit({ transport: BEFORE_SEED });
    const verdict = (id: string) => answers.get(id)?.verdict;
    expect([1, 2, 3, 4].map(part => verdict(`23d6fefbb3f6 (${part})`))).toEqual(Array(4).fill("absent"));
    expect(answers.get("23d6fefbb3f6")).toMatchObject({ verdict: "absent", why: "all of it is absent" });
    expect(["0aadafb5c344", "7c6e99c18167"].map(verdict)).toEqual(["not-applicable", "not-applicable"]);
    expect(["03690d819745", "06c203a5566b", "cbd2283aaf47"].map(verdict)).toEqual(["absent", "absent", "absent"]);
    expect(["7e7cd796f277", "9e67600ed6b8", "0dcf8febcb7b", "891e2639deae"].map(verdict)).toEqual(
      Array(4).fill("present"),
    );
  });

  test("before 7e7cd796f277 the work takes the mutex of the netlink commands", () => {
    const work = "mutex_lock(&rx_queue_mutex); conn->transport->stop_conn(conn, STOP_CONN_TERM);";
    const answers = audit({ transport: { ...BEFORE_SEED, stop_conn_work_fn: work, iscsi_if_stop_conn: "" } });
    expect(answers.get("7e7cd796f277")?.verdict).toBe("absent");
    expect(answers.get("23d6fefbb3f6 (1)")?.verdict).toBe("absent");
  });

  test("before the kernel recovered by itself none of what goes wrong with that was there", () => {
    const answers = audit({
      transport: { ...BEFORE_SEED, stop_conn_work_fn: "", iscsi_conn_error_event: "multicast(ev);" },
    });
    const ids = ["23d6fefbb3f6", "23d6fefbb3f6 (3)", "c0920cd36f17", "788b71c54f21", "03690d819745", "06c203a5566b"];
    expect(ids.map(id => answers.get(id)?.verdict)).toEqual(ids.map(() => "not-applicable"));
  });
});
