"""Controllers that no driver of this process has."""

from pathlib import Path

from linewarden import Driver, Linewarden
from linewarden.statemachine.lifecycle import Phase


def test_a_successor_does_not_wait_for_a_socket_that_nobody_holds(tmp_path: Path) -> None:
    """A controller without a driver has no socket here, so a claim over it dials at once."""
    dialed: list[tuple[str, int]] = []

    class Line(Driver):
        async def dial(self, controller: str, socket: int) -> None:
            dialed.append((controller, socket))

    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A").result(5)
        warden.observe("main", "opened", controller="A").result(5)
        warden.claim("main", "B", driver=Line()).result(5)
        warden.observe("main", "activity", controller="B").result(5)
        view = warden.projections.account("main")
        assert view is not None
        assert view.machine.phase is Phase.DIALING
    assert dialed == [("B", 1)]
