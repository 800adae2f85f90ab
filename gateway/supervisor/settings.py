"""What an operator sets: a TOML file and, over it, the environment; all is checked at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from ...eventstore.records import check_stream
from ...statemachine.errors import InputError
from ...statemachine.policy import Policy, policy_of
from ..redaction import package_logger, redact
from .line_settings import LineSettings, SettingsError, at, check_keys
from .session import Session, expanded, files_of, files_of_log

__all__ = ["LineSettings", "Settings", "SettingsError", "read_settings"]

log = package_logger("linewarden.settings")

PREFIX = "LINEWARDEN_"
VARIABLES = ("LOG", "HOLDER", "SESSIONS", "PROXY", "PAIR_PHONE", "ANCHOR_SINK", "ANCHOR_KEY")

_CLUSTER = re.compile(r"LINEWARDEN_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)|PORT)(?:_\w+)?")
"""What Kubernetes and Docker set in every container beside a service of such a name."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the service needs to know; paths are whole."""

    log: str
    holder: str = "main"
    anchor_sink: str | None = None
    anchor_key: str | None = None
    policy: dict[str, Any] = {}
    accounts: dict[str, LineSettings]

    def __repr__(self) -> str:
        return f"Settings(accounts={list(self.accounts)})"


class _File(msgspec.Struct, frozen=True, kw_only=True):
    log: str | None = None
    holder: str = "main"
    sessions: str | None = None
    anchor_sink: str | None = None
    anchor_key: str | None = None
    policy: dict[str, Any] = {}
    accounts: dict[str, dict[str, Any]] = {}


def read_settings(
    config: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    accounts: Sequence[str] = (),
) -> Settings:
    """The settings of a file, if any, and the environment, for these accounts or for all.

    Raises `SettingsError` that names file, table and key, or the variable, and no value.
    """
    place = folder = ""
    given: dict[str, Any] = {}
    if config is not None:
        config = os.path.abspath(os.path.expanduser(config))
        place, folder = f"{redact(config)}: ", os.path.dirname(config)
        given = _parsed(config, place)
    check_keys(given, _File.__struct_fields__, f"{place}the top of the file")
    with at(f"{place}the file"):
        file = msgspec.convert(given, _File)
    _check_policy(file.policy, f"{place}[policy]")
    variables, policy = _environment(environ)
    path, sessions = _paths(file, variables, place, folder)

    lines = {}
    for name, table in file.accounts.items():
        with at(f"{place}[accounts]"):
            check_stream(name)
        lines[name] = _line(name, table, sessions, folder, place)
    if config is not None:
        _warn_of_readers(config, lines)
    for name in accounts:
        if name not in lines:
            with at("--account"):
                check_stream(name)
            lines[name] = _line(name, {}, sessions, folder, "")
    _keep_apart(lines, path, config)
    kept = {name: lines[name] for name in accounts or lines}
    with at("LINEWARDEN_HOLDER" if "HOLDER" in variables else f"{place}holder"):
        holder = _checked_holder(variables.get("HOLDER", file.holder))
    return Settings(
        log=path,
        holder=holder,
        anchor_sink=_place(variables.get("ANCHOR_SINK"), file.anchor_sink, folder),
        anchor_key=_place(variables.get("ANCHOR_KEY"), file.anchor_key, folder),
        policy={**file.policy, **policy},
        accounts=_overridden(kept, file.policy, variables, policy),
    )


def _parsed(config: str, place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(config).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(
            f"{place}it can't be read: {error.strerror}", hint="see --config"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{place}it is no UTF-8", hint="save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # What Python says further may repeat a value.
        where = re.search(r"line \d+, column \d+|end of document", str(error))
        raise SettingsError(
            f"{place}it is no TOML" + (f", {where[0]}" if where else ""),
            hint='text stands in quotes, as in pairing = "qr", and a key stands once',
        ) from None


def _environment(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """The variables that are set and not empty, without the prefix; those of the policy apart."""
    known = [*VARIABLES, *(f"POLICY_{field.upper()}" for field in Policy.__struct_fields__)]
    variables: dict[str, str] = {}
    policy: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value or _CLUSTER.fullmatch(name):
            continue
        word = name.removeprefix(PREFIX)
        check_keys([word], known, "the environment", PREFIX)
        if word in VARIABLES:
            variables[word] = value
            continue
        overrides = {word.removeprefix("POLICY_").lower(): _number_or_word(value)}
        with at(name):
            policy_of(overrides)
        policy |= overrides
    return variables, policy


def _number_or_word(text: str) -> bool | int | str:
    """What TOML would have made of it; a policy takes decimals as text."""
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _paths(file: _File, variables: dict[str, str], place: str, folder: str) -> tuple[str, str]:
    """The log, and the folder in which sessions lie that no table places."""
    if "LOG" in variables:
        with at("LINEWARDEN_LOG"):
            path = expanded(variables["LOG"])
    else:
        with at(f"{place}log"):
            path = expanded("linewarden.db") if file.log is None else expanded(file.log, folder)
    if "SESSIONS" in variables:
        with at("LINEWARDEN_SESSIONS"):
            return path, expanded(variables["SESSIONS"].rstrip("/"))
    if file.sessions is None:
        return path, os.path.join(os.path.dirname(path), "sessions")
    with at(f"{place}sessions"):
        return path, expanded(file.sessions.rstrip("/"), folder)


def _place(variable: str | None, given: str | None, folder: str) -> str | None:
    """A path of the environment or of the file; a command is left as it is."""
    path, start = (variable, "") if variable is not None else (given, folder)
    return path if path is None or path.startswith("|") else expanded(path, start)


def _line(name: str, table: dict[str, Any], sessions: str, folder: str, place: str) -> LineSettings:
    table_place = f"{place}[accounts.{name}]"
    check_keys(table, LineSettings.__struct_fields__, table_place)
    _check_policy(table.get("policy"), f"{place}[accounts.{name}.policy]")
    with at(table_place):
        default = os.path.join(sessions, f"{name}.db")
        line = msgspec.convert({"session": default, **table}, LineSettings)
        return replace(line, session=Session(line.session, folder).path)


def _overridden(
    kept: dict[str, LineSettings],
    common: dict[str, Any],
    variables: dict[str, str],
    policy: dict[str, Any],
) -> dict[str, LineSettings]:
    """The accounts with the common policy under their own, and the environment over all."""
    if not kept:
        raise SettingsError(
            "no account is named", hint="give --account NAME, or a table [accounts.NAME] in a file"
        )
    if len(kept) > 1 and "PAIR_PHONE" in variables:
        raise SettingsError(
            "LINEWARDEN_PAIR_PHONE can't be the number of several accounts",
            hint="set pair_phone in the table of each account",
        )
    for word in ("PAIR_PHONE", "PROXY"):
        if word in variables:
            with at(PREFIX + word):
                given = {word.lower(): variables[word]}
                kept = {name: replace(line, **given) for name, line in kept.items()}
    return {
        name: replace(line, policy={**common, **line.policy, **policy})
        for name, line in kept.items()
    }


def _checked_holder(name: str) -> str:
    try:
        check_stream(name)
    except InputError as error:
        raise SettingsError("the holder's name is not allowed", hint=error.hint) from None
    return name


def _keep_apart(lines: dict[str, LineSettings], path: str, config: str | None) -> None:
    """Refuse two owners of one file: the purge of one would delete the other."""
    owners = dict.fromkeys(files_of_log(path), "the log")
    if config is not None:
        owners[os.path.realpath(config)] = "the configuration"
    for name, line in lines.items():
        for file in files_of(line.session):
            if file in owners:
                raise SettingsError(
                    f"[accounts.{name}]: session is a file of {owners[file]}",
                    hint="give each account a session of its own",
                )
        owners |= dict.fromkeys(files_of(line.session), f"[accounts.{name}]")


def _warn_of_readers(config: str, lines: dict[str, LineSettings]) -> None:
    private = any(
        line.pair_phone or line.allow or "@" in (line.proxy or "") for line in lines.values()
    )
    if private and os.stat(config).st_mode & 0o077:
        log.warning(
            "%s holds phone numbers or credentials, and others can read it: chmod 600", config
        )


def _check_policy(given: Any, place: str) -> None:
    if isinstance(given, dict):
        check_keys(given, Policy.__struct_fields__, place)
        with at(place):
            policy_of(given)
