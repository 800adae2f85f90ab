"""Policies: how patient a line is. Data only, by preset and by name of what is overridden.

A policy is part of an account's state: `claimed` and `service_started` carry the overrides, so a
replay decides with the numbers that were in force and needs no configuration file.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Literal

import msgspec

from .errors import InputError, shown

NS = 1_000_000_000
"""Nanoseconds in a second: the machine counts every instant and every span in them."""

UNKNOWN_CLOSES_MAX = 12
"""Closes of class unknown without a stable connection between, before a line is given up."""

Number = int | float


class PolicyError(InputError):
    """The policy is not understood."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers are in seconds unless their name says otherwise; design §3.3 is their source."""

    preset: Literal["default", "openclaw", "zeroclaw"] = "default"
    initial_s: Number = 2
    factor: Number = 1.8
    max_s: Number = 30
    jitter: Number = 0.25
    fast_attempts: int = 12
    after: Literal["probe", "give_up"] = "probe"
    probe_s: Number = 300
    relink: Literal["operator", "auto"] = "operator"
    stability_s: Number = 60
    connect_deadline_s: Number = 60
    handover_s: Number = 15
    reply_deadline_s: Number = 300
    send_deadline_s: Number = 90
    resend_s: Number = 30
    pairing_s: Number = 180
    held_max_account: int = 64
    held_max_total: int = 1024
    silence_s: Number = 300
    app_silence_s: Number | None = None
    outdated_hold_s: Number = 3600
    ban_default_s: Number = 3600
    gap_notice_s: Number = 600
    durable_outbox: bool = False

    def delay(self, attempt: int) -> int:
        """Nanoseconds to wait before dial number `attempt` (1, 2, …) of the fast ladder."""
        return _delay(self.initial_s, self.factor, self.max_s, attempt)


@cache
def _delay(initial_s: Number, factor: Number, max_s: Number, attempt: int) -> int:
    """One step of a ladder.

    The power is a product of single multiplications: these are exact to the last bit on every
    platform, which a library's `pow` is not, and a replay must agree with the record.
    """
    seconds = float(initial_s)
    for _ in range(attempt - 1):
        seconds *= float(factor)
        if seconds >= max_s:
            break
    return round(min(float(max_s), seconds) * NS)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "openclaw": {"after": "give_up"},
    "zeroclaw": {
        "initial_s": 3,
        "factor": 2,
        "max_s": 300,
        "jitter": 0,
        "fast_attempts": 10,
        "after": "give_up",
    },
}

DEFAULT = Policy()
"""The preset `default`, shared by all accounts without overrides."""

_WORDS = {"after": ("probe", "give_up"), "relink": ("operator", "auto")}

_POSITIVE = (
    "initial_s max_s fast_attempts probe_s stability_s connect_deadline_s handover_s "
    "reply_deadline_s send_deadline_s resend_s pairing_s held_max_account held_max_total "
    "silence_s outdated_hold_s ban_default_s gap_notice_s"
).split()
ATTEMPTS_MAX = 10_000
"""Steps of a ladder; each is computed from the first on, and a bundle may come from anywhere."""

SPAN_S_MAX = 10 * 365 * 86_400
"""Ten years: no span of a line is longer, and instants stay far inside 64 bits."""


def policy_of(overrides: dict[str, Any] | None) -> Policy:
    """The policy of a preset with overrides; raises `PolicyError` that names the field."""
    given = {name: _number(value) for name, value in (overrides or {}).items()}
    preset = given.get("preset", "default")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise PolicyError(
            "the policy's preset is unknown", hint="use default, openclaw or zeroclaw"
        )
    for name, words in _WORDS.items():
        if given.get(name, words[0]) not in words:
            raise PolicyError(f"policy: {name} is not {' or '.join(words)}", hint="use one of them")
    try:
        policy = msgspec.convert({**PRESETS[preset], **given}, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(
            f"policy: {shown(str(error))}", hint="docs/operating.md tells what each field takes"
        ) from None
    _check(policy)
    return policy


def overrides_of(policy: Policy) -> dict[str, Any]:
    """What has to be recorded of a policy: preset and overrides, decimals as text (no floats).

    Sorted, as a record's keys stand: a fold of the log must find the same.
    """
    base = msgspec.convert({**PRESETS[policy.preset], "preset": policy.preset}, Policy)
    changed: dict[str, Any] = {} if policy.preset == "default" else {"preset": policy.preset}
    for name in Policy.__struct_fields__:
        value = getattr(policy, name)
        if value != getattr(base, name):
            changed[name] = f"{Decimal(repr(value)):f}" if isinstance(value, float) else value
    return dict(sorted(changed.items()))


@cache
def recorded_policy(canonical: tuple[tuple[str, Any], ...]) -> Policy:
    """One shared `Policy` for each set of overrides: a hundred thousand accounts hold one."""
    return policy_of(dict(canonical))


def span(value: int | str | float) -> int:
    """Nanoseconds of a number of seconds; decimals may come as text, as records hold them."""
    if isinstance(value, int):
        return value * NS
    return int((Decimal(str(value)) * NS).to_integral_value())


def _number(value: Any) -> Any:
    """Records hold decimals as text: turn those back into numbers, leave words alone."""
    if isinstance(value, str) and value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    return value


def _check(policy: Policy) -> None:
    for name in _POSITIVE:
        value = getattr(policy, name)
        if not 0 < value <= SPAN_S_MAX:
            raise PolicyError(
                f"policy: {name} must be above 0 and at most {SPAN_S_MAX}",
                hint=f"leave {name} out to take the preset's",
            )
    if policy.fast_attempts > ATTEMPTS_MAX:
        raise PolicyError(
            f"policy: fast_attempts must be at most {ATTEMPTS_MAX}",
            hint="where a line shall never be given up, let after be probe",
        )
    if not 1 <= policy.factor <= 100 or not 0 <= policy.jitter <= 1:
        raise PolicyError(
            "policy: factor must be from 1 to 100 and jitter from 0 to 1",
            hint="a factor under 1 would dial ever faster",
        )
    if policy.app_silence_s is not None and not 0 < policy.app_silence_s <= SPAN_S_MAX:
        raise PolicyError("policy: app_silence_s must be above 0", hint="null switches it off")
