"""Controllers that no driver of this process has."""

from pathlib import Path

from linewarden import Driver, Linewarden
from linewarden.statemachine.lifecycle import Phase

WAIT_S = 5


class Line(Driver):
    """Notes its dials."""

    def __init__(self) -> None:
        self.dialed: list[tuple[str, int]] = []

    async def dial(self, controller: str, socket: int) -> None:
        self.dialed.append((controller, socket))


def phase(warden: Linewarden) -> Phase | None:
    warden.observe("main", "activity", controller="B").result(WAIT_S)
    view = warden.projections.account("main")
    assert view is not None
    return view.machine.phase


def test_a_successor_does_not_wait_for_the_socket_of_an_ended_process(tmp_path: Path) -> None:
    """What the log says was under way ended with its process, so a claim over it dials at once."""
    line = Line()
    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A").result(WAIT_S)
        warden.observe("main", "opened", controller="A").result(WAIT_S)
    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "B", driver=line).result(WAIT_S)
        assert phase(warden) is Phase.DIALING
    assert line.dialed == [("B", 1)]


def test_a_socket_of_a_gateway_that_only_observes_is_waited_for(tmp_path: Path) -> None:
    """Without a driver the socket may still be open here: nobody confirms what nobody saw."""
    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A").result(WAIT_S)
        warden.observe("main", "opened", controller="A").result(WAIT_S)
        warden.claim("main", "B").result(WAIT_S)
        assert phase(warden) is Phase.WAITING
        warden.observe("main", "socket_closed", controller="A", socket=1).result(WAIT_S)
        assert phase(warden) is Phase.DIALING
