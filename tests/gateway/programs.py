"""What the random programs of `test_stateful` are made of, and what they must come across."""

from typing import Any

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"preset": "openclaw", "fast_attempts": 2, "gap_notice_s": 30},
    {"preset": "zeroclaw", "relink": "auto", "fast_attempts": 3},
    {"relink": "auto", "held_max_account": 3, "held_max_total": 5, "durable_outbox": True},
    {"fast_attempts": 1, "silence_s": 20, "app_silence_s": 30, "held_max_total": 4},
)
FORMS: tuple[dict[str, str], ...] = (
    {"pn": "15550100001@s.whatsapp.net", "lid": "100000000000001@lid"},
    {"pn": "15550100001:7@s.whatsapp.net", "lid": "100000000000001:7@lid"},
    {"pn": "15550100001@c.us"},
    {"e164": "+15550100001"},
    {"lid": "100000000000001@hosted.lid"},
    {"pn": "15550100002@s.whatsapp.net", "lid": "100000000000002@lid"},
    {"pn": "15550100001@s.whatsapp.net", "lid": "100000000000002@lid"},
)
CHATS = ("15550100008@s.whatsapp.net", "15550100009@s.whatsapp.net", "120363000000000001@g.us")
CODES = (None, 408, "440", 515, 516, 402, 405, 411, 403, 440, 401, 401, 500, "ENOTFOUND", 400)
ANSWERS = ("acked", "acked", "acked", "not_sent", "unknown", "rejected")
OUTCOMES = ("sent", "uncertain", "refused", "rejected", "expired", "cancelled")

REACHED = (
    *("phase waiting", "phase dialing", "phase pairing", "rule pairing.paired"),
    *("claim asked relink_auto", "claim asked restart", "rule close.banned.hold"),
    *("rule close.replaced.conflict", "rule close.logged_out", "rule service.started.retry"),
    *("rule reply.held", "rule reply.resend", "reason identity_mismatch", "rule handover.dial"),
    *("effect purge", "effect notify", "write", "write refused at the moment", "wrong version"),
)
"""What the programs must come across, so that the invariants are put to the test."""
