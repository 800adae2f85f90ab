"""Maps whose order decides keep it in a bundle and in an archive, though JSON there sorts keys."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from linewarden.eventstore import open_reader
from linewarden.projections.projections import Projections
from linewarden.statemachine.policy import NS
from linewarden.tools.cli import main

from ..gateway.scripted import Bench


def replays(log: Path, start: int, closed: bool) -> int:
    """The exit code of a replay of what is exported from a position on."""
    out = str(log.with_suffix(".incident.jsonl.gz"))
    given = ["--file", str(log), "--from", str(start), "--out", out, "--force"]
    exported = CliRunner().invoke(main, ["incident", "export", *given])
    assert exported.exit_code == 0, exported.output
    loop = ["--closed"] if closed else []
    return CliRunner().invoke(main, ["replay", out, *loop]).exit_code


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_held_replies_wake_in_their_order(tmp_path: Path, closed: bool) -> None:
    """Replies whose ids don't sort as they were submitted: the replay of any range is the same."""
    log = tmp_path / "log.db"
    with Bench(log) as bench:
        bench.claim("zz")
        bench.up("zz")
        bench.feed("closed", controller="zz", source="baileys", code=428)
        for reply in ("z", "a", "m"):
            bench.submit(reply)
        bench.go(5)
        bench.up("zz")
        count = len(bench.records())
    assert [replays(log, start, closed) for start in range(1, count + 1)] == [0] * count


def test_what_is_forgotten_first_is_the_oldest(tmp_path: Path) -> None:
    """Links beyond the bound: the same ones are forgotten after a range begins, or an archive."""
    log = tmp_path / "log.db"
    with Bench(log) as bench:
        bench.claim("A")
        bench.up("A")
        for number in range(300):
            pn, lid = f"1555010{number:04}@s.whatsapp.net", f"1{number:014}@lid"
            bench.feed("identity_linked", controller="A", pn=pn, lid=lid)
        bench.clock.advance_to(bench.clock.now() + 100 * NS)
        live = list(bench.service.account("main").links or ())
        archived = bench.records()[279].position
    assert replays(log, 290, closed=False) == 0
    given = ["--file", str(log), "--before", str(archived), "--to", str(tmp_path)]
    moved = CliRunner().invoke(main, ["archive", *given])
    assert moved.exit_code == 0, moved.output
    reader = open_reader(log)
    try:
        assert next(reader.read_stream("main")).version > 200
        rebuilt = Projections(reader).rebuild("main").machine
    finally:
        reader.close()
    assert list(rebuilt.links or ()) == live
