"""The stimuli of the specification, with their fields; a variant has a word behind the name."""

from typing import Any

from .situations import ME

OBSERVATIONS: dict[str, dict[str, Any]] = {
    "claimed": {"controller": "C"},
    "claimed again": {},
    "socket_closed": {},
    "socket_closed old": {"socket": 1},
    "lease_lapsed": {"holder": "host-1"},
    "subject_erased": {"tokens": ["idn_1"], "controller": None},
    "archived": {
        "controller": None,
        "first": 1,
        "last": 9,
        "position": 9,
        "chain": "0" * 64,
        "bundle": "0" * 64,
    },
    "opened": {},
    "opened old": {"socket": 1},
    "opened new": {"socket": 7},
    "closed 408": {"code": 408},
    "closed 515": {"code": 515},
    "closed 599": {"code": 599},
    "closed 402": {"code": 402},
    "closed 405": {"code": 405},
    "closed 411": {"code": 411},
    "closed 403": {"code": 403},
    "closed 440": {"code": 440},
    "closed 401": {"code": 401},
    "closed old": {"socket": 1, "code": 401},
    "closed same": {"socket": 2, "code": 408},
    "dial_failed": {"code": "ENOTFOUND"},
    "stream_error": {"code": 515},
    "worker_died": {"signal": 9},
    "replaced": {},
    "logged_out": {},
    "banned": {"expires_s": 60},
    "outdated": {},
    "keepalive_timeout": {},
    "keepalive_restored": {},
    "activity": {},
    "silence": {"kind": "transport", "seconds": 400},
    "silence app": {"kind": "app", "seconds": 400},
    "pairing_started": {},
    "paired": {},
    "pairing_failed": {},
    "credentials_saved": {},
    "session_purged": {},
    "service_started": {"holder": "host-1", "controller": None},
    "service_started host-2": {"holder": "host-2", "controller": None},
    "service_stopped": {"holder": "host-1", "controller": None},
    "timer_fired retry": {"timer": "retry"},
    "timer_fired hold": {"timer": "hold"},
    "timer_fired handover": {"timer": "handover"},
    "timer_fired connect_deadline": {"timer": "connect_deadline"},
    "timer_fired pairing": {"timer": "pairing"},
    "timer_fired stability": {"timer": "stability"},
    "timer_fired silence": {"timer": "silence"},
    "timer_fired gap_notice": {"timer": "gap_notice"},
    "timer_fired send_deadline": {"timer": "send_deadline", "reply": "r1"},
    "timer_fired resend": {"timer": "resend", "reply": "r1"},
    "timer_fired reply_deadline": {"timer": "reply_deadline", "reply": "r1"},
    "restart_requested monitor": {"by": "monitor"},
    "restart_requested operator": {"by": "operator"},
    "stop_requested": {"by": "operator"},
    "release_requested monitor": {"by": "monitor"},
    "release_requested": {"by": "operator"},
    "relink_requested monitor": {"by": "monitor"},
    "relink_requested": {"by": "operator"},
    "identity_observed": {"forms": ME},
    "identity_observed empty": {"forms": {}},
    "identity_linked": {"pn": "pn-1", "lid": "lid-1"},
    "reply_submitted": {"reply": "r2", "chat": "chat-2", "captured_on": None, "deadline_s": 90000},
    "reply_submitted again": {"reply": "r1", "chat": "chat-1", "captured_on": None, "earlier": 1},
    "send_acked": {"reply": "r1"},
    "send_failed not_sent": {"reply": "r1", "kind": "not_sent"},
    "send_failed unknown": {"reply": "r1", "kind": "unknown"},
    "send_failed rejected": {"reply": "r1", "kind": "rejected"},
    "reply_cancelled": {"reply": "r1"},
    "reply_submitted stranger": {"reply": "r2", "chat": "chat-2", "captured_on": "stranger"},
    "service_started last": {
        "holder": "host-1",
        "policy": {"preset": "openclaw", "fast_attempts": 1},
        "controller": None,
    },
}
"""A stimulus and its variant, to its fields."""

RARE = """
    gap_now         closed 408                    close.echo                   =
    gap_now         closed 515                    close.upgrade.restart        =
    gap_now         closed 599                    close.upgrade.unknown        =
    gap_now         closed 402                    close.upgrade.banned         =
    gap_now         closed 405                    close.upgrade.outdated       =
    gap_now         closed 411                    close.upgrade.rejected       closed
    gap_now         closed 403                    close.upgrade.forbidden      closed
    gap_now         closed 440                    close.upgrade.conflict       conflict
    gap_now         closed 401                    close.upgrade.logged_out     logged_out
    gap_now         dial_failed                   close.ignored.gap            =
    conflict_now    closed 403                    close.echo                   =
    conflict_now    closed 401                    close.upgrade.logged_out     logged_out
    rejected_now    closed 402                    close.echo                   =
    rejected_now    closed 403                    close.upgrade.forbidden      =
    rejected_now    closed 440                    close.upgrade.conflict       conflict
    rejected_now    closed 401                    close.upgrade.logged_out     logged_out
    stopped_now     closed 401                    close.echo                   =
    unknown_12_now  closed 599                    close.upgrade.gave_up        closed
    last_dial       closed 408                    close.gave_up                closed
    last_live       closed 408                    close.gave_up                closed
    last_dial       timer_fired connect_deadline  connect_deadline.gave_up     closed
    last_pairing    timer_fired pairing           pairing.gave_up              closed
    auto_pairing    pairing_failed                pairing.retry                reconnect_gap
    last_live       service_started               service.started.retry        reconnect_gap
    last_silent     timer_fired silence           silence.gave_up              closed
    silent          timer_fired silence           silence.close                reconnect_gap
    kin_live        closed 440                    close.replaced.own_doing     reconnect_gap
    kin_gap_now     closed 440                    close.upgrade.own_doing      =
    window_live     closed 401                    close.restart.retry          reconnect_gap
    window_gap_now  closed 401                    close.upgrade.restart        =
    restarted       closed 515                    close.transient.retry        reconnect_gap
    restarted_now   closed 515                    close.upgrade.transient       =
    asked_gap       restart_requested operator    restart.refused.outstanding  =
    asked_conflict  release_requested             release.refused.outstanding  =
    asked_conflict  reply_submitted               reply.held                   =
    purging         relink_requested              relink.refused.outstanding   =
    purging         session_purged                session.purged               =
    held_conflict   release_requested             release.conflict             =
    waiting_all     timer_fired retry             retry.waits                  =
    waiting_all     timer_fired hold              hold.waits                   =
    waiting_all     timer_fired handover          handover.waits               =
    waiting_15      timer_fired handover          handover.dial                =
    waiting_retry   timer_fired retry             retry.dial                   =
    waiting_hold    timer_fired hold              hold.dial                    =
    waiting_hold    release_requested             release.hold                 =
    waiting_hold    restart_requested operator    restart.refused.hold         =
    fresh           restart_requested monitor     restart.refused.healthy      =
    last_live       service_started last          service.started.gave_up      closed
    deadline        timer_fired reply_deadline    reply.expired                =
    unsent          timer_fired resend            reply.resend_due             =
    unsent          reply_submitted               reply.sending                =
"""
"""What needs a context of its own: the situation, the stimulus, the rule, the state after it."""
