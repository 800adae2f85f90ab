"""Logs to archive: accounts with closes, replies and gaps, on a virtual clock."""

from pathlib import Path

from linewarden.eventstore import open_reader
from linewarden.eventstore.links import Links, links_of
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify
from linewarden.eventstore.verify_archive import audit_archives
from linewarden.projections.projections import Projections
from linewarden.projections.view import AccountView
from linewarden.tools.archiving import Moved, archive
from linewarden.tools.moments import Moment

from ..gateway.scripted import ANNA, BERT, Bench


def lived(path: Path, rounds: int = 12, *, pending: bool = False) -> list[int]:
    """A log of two accounts; the positions after each round, in which everything is settled."""
    ends = []
    with Bench(path) as bench:
        for account, forms in (("main", ANNA), ("second", BERT)):
            bench.claim(f"{account}-1", account)
            bench.up(f"{account}-1", account, forms)
        bench.feed("identity_linked", "main", **ANNA)
        for number in range(rounds):
            again(bench, number)
            ends.append(bench.store.last_position())
        if pending:
            bench.feed("closed", controller="main-1", code=408)
            bench.submit("held", deadline_s=100_000)
            bench.go(1)
            bench.feed("activity", "second", controller="second-1")
    return ends


def again(bench: Bench, number: int) -> None:
    """A close, a reply that is held through it, and an opening, on both accounts."""
    for account, forms in (("main", ANNA), ("second", BERT)):
        controller = f"{account}-1"
        bench.feed("closed", account, controller=controller, code=408)
        reply = f"{account}-{number}"
        chat = f"{15550101000 + number}@s.whatsapp.net"
        bench.feed("reply_submitted", account, reply=reply, chat=chat, captured_on=controller)
        bench.go(3)
        bench.up(controller, account, forms)
        bench.feed("send_acked", account, controller=controller, reply=reply)
        bench.go(120)


def moved(path: Path, position: int, folder: Path, account: str | None = None) -> list[Moved]:
    """Archive what was before a position."""
    folder.mkdir(exist_ok=True)
    return archive(str(path), Moment(position=position), str(folder), account)[0]


def views(path: Path) -> dict[str, AccountView]:
    """The view of every account, folded from what the log has."""
    reader = open_reader(path)
    try:
        return Projections(reader).rebuild_all()
    finally:
        reader.close()


def said(path: Path) -> tuple[Links, Links]:
    """All that the log says of who is who, and that of it which archived records say."""
    reader = open_reader(path)
    try:
        links, archived = links_of(reader.read_all()), reader.archived_links()
    finally:
        reader.close()
    for link, position in archived.items():
        links[link] = max(position, links.get(link, 0))
    return links, archived


def audited(path: Path, folder: Path) -> tuple[bool, int, int, int]:
    """Whether a log verifies; its records, the archived ones, and those that bundles prove."""
    with SQLiteStore.open(path) as store:
        report = verify(store)
        assert verify(store, columns=False).ok == report.ok, report.reason
        return report.ok, report.records, report.archived, audit_archives(store, folder, {})
