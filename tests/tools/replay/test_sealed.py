"""A replay can't perform an effect."""

import importlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_writing import write_bundle
from linewarden.statemachine import closing
from linewarden.tools.replay import cli, sealed

from .other_code import changed_code
from .saved import call

WATCHED = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        print("tried", event)
        raise OSError("this test has no network")

sys.addaudithook(refuse)
from linewarden.tools.replay.cli import replay
try:
    replay.main(sys.argv[1:])
except SystemExit as end:
    print("exit", end.code)
print("loaded", *[name for name in sys.modules if "gateway" in name or "neonize" in name])
"""
AFTERWARDS = """
import sys
from linewarden.tools.replay import sealed
sealed.seal()
for name in ("linewarden.gateway.whatsapp.driver", "linewarden.gateway.supervisor.line",
             "linewarden.gateway.worker.protocol", "linewarden.gateway", "neonize.client"):
    try:
        __import__(name)
    except ImportError as error:
        print(type(error).__name__)
import linewarden
try:
    linewarden.Linewarden
except ImportError as error:
    print(type(error).__name__)
"""

LAZY = """
import sys
from linewarden.tools.replay import cli, replay
print(not {"colorsys", "linewarden.projections.why"} & set(sys.modules))
cli.replay.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "name",
    [
        "linewarden.gateway",
        "linewarden.gateway.driver",
        "linewarden.gateway.whatsapp.driver",
        "linewarden.gateway.worker.protocol",
        "neonize",
    ],
)
def test_drivers_cant_be_imported(name: str) -> None:
    """Under the seal the gateway, its drivers and neonize can't be imported, loaded before or not.

    Afterwards everything that was loaded is there again.
    """
    import linewarden.gateway.driver as before

    with sealed.sealed(), pytest.raises(sealed.Sealed):
        importlib.import_module(name)
    assert sys.modules["linewarden.gateway.driver"] is before
    assert sys.modules["linewarden.gateway"] is sys.modules["linewarden"].gateway


def test_nothing_reaches_out() -> None:
    """Under the seal no socket can be made and no process started; afterwards both can."""
    with sealed.sealed():
        with pytest.raises(sealed.EffectRefused, match="socket"):
            socket.socket()
        with pytest.raises(sealed.EffectRefused, match="socket"):
            socket.getaddrinfo("localhost", 80)
        with pytest.raises(sealed.EffectRefused):
            subprocess.run([sys.executable, "--version"], check=True)
        with pytest.raises(sealed.EffectRefused):
            os.fork()
    socket.socket().close()


DEEDS: dict[str, Callable[[Path], Any]] = {
    "open": lambda folder: (folder / "made").write_text("x"),
    "os.open": lambda folder: os.open(folder / "made", os.O_CREAT | os.O_RDWR),
    "os.remove": lambda folder: os.remove(folder / "there"),
    "os.truncate": lambda folder: os.truncate(folder / "there", 0),
    "os.rename": lambda folder: os.replace(folder / "there", folder / "made"),
    "os.mkdir": lambda folder: os.mkdir(folder / "made"),
    "shutil": shutil.rmtree,
    "sqlite3": lambda folder: sqlite3.connect(folder / "made"),
    "os.kill": lambda _: os.kill(os.getpid(), 0),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_decision_changes_no_file(
    deed: str, night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What code under trial writes, deletes or kills is refused, and told as what it raised."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").write_text("as it was")
    monkeypatch.setattr(closing, "classify", lambda _: DEEDS[deed](folder))
    result = call(cli.replay, night)
    assert result.exit_code == 1
    assert "raised EffectRefused: " in result.output
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("there", "as it was")]
    with sealed.sealed():
        DEEDS[deed](folder)


def test_a_decision_may_load_modules(night: str, tmp_path: Path) -> None:
    """Code that imports where it decides is replayed, also where nothing of it was compiled yet."""
    there = changed_code(
        tmp_path / "there",
        "    kind = _class_of(d)\n",
        "    import colorsys\n    from ..projections import why\n    kind = _class_of(d)\n",
        file="closing.py",
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", LAZY, night],
        env={
            **os.environ,
            "PYTHONPATH": str(there),
            "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["True", "night.incident.jsonl.gz: the same, 6 records"]


def test_a_process_that_was_sealed_stays_sealed() -> None:
    """Outside a command the seal holds for good, for every driver and for the package's face."""
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Sealed"] * 6


@pytest.mark.parametrize("loop", [[], ["--closed"]])
def test_the_command_replays_without_the_world(
    incidents: dict[str, Bundle], tmp_path: Path, loop: list[str]
) -> None:
    """With sockets blocked the command does its whole work, and no driver is loaded in it."""
    bundle = incidents["tr-05-440-every-5s-main"]
    path = tmp_path / "x.incident.jsonl.gz"
    write_bundle(path, bundle.header, bundle.records, bundle.trailer)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(path), *loop],
        capture_output=True,
        text=True,
        check=True,
    )
    same = f"x.incident.jsonl.gz: the same, {len(bundle.records)} records"
    assert done.stdout.splitlines() == [same, "exit 0", "loaded"]


def test_what_a_command_tries_is_imported_under_its_seal() -> None:
    """The modules of the commands hold nothing that opens, decides or draws an incident."""
    script = (
        "import sys\n"
        "from linewarden.tools.explore import cli\nfrom linewarden.tools.render import cli\n"
        "from linewarden.tools.replay import cli\n"
        "print(*[name for name in sys.modules if name.endswith(('.decision', '.bundle_reading',"
        " '.projections', '.incident', '.replay.replay', '.course'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_no_module_of_a_replay_needs_the_gateway() -> None:
    """Everything that replays can be imported under the seal."""
    script = (
        "from linewarden.tools.replay import sealed; sealed.seal()\n"
        "from linewarden.tools.replay import cli, diff, divergence, fixture, reading, replay\n"
        "from linewarden.tools.replay import telling, trace\n"
        "from linewarden.tools import incident\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
