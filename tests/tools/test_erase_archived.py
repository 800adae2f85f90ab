"""Erasing after archiving: a person is as many forms as before, whoever the log took them for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.statemachine.account import LINKS_MAX

from ..eventstore.archives import audited, moved
from ..gateway.scripted import ANNA, BERT, Bench
from .keeping import erase, held, sound, told, types

LAST = 1_000_000
CARL = {"pn": "15550100003@s.whatsapp.net", "lid": "100000000000003@lid"}
DORA = {"pn": "15550100004@s.whatsapp.net", "lid": "100000000000004@lid"}
PEOPLE = (ANNA, BERT, CARL, DORA)
FORMS = [form for forms in PEOPLE for form in forms.values()]

Life = Callable[[Bench], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    return folder / "log.db"


def superseded(bench: Bench) -> None:
    """Somebody was observed on a controller that was no longer the newest: nothing was decided."""
    bench.claim("A")
    bench.claim("B")
    late = bench.feed("identity_observed", controller="A", socket=1, forms=CARL)
    assert not late.outcome.changes


def many(bench: Bench) -> None:
    """More links than an account remembers came after the ones that are asked for."""
    bench.claim()
    for forms in PEOPLE:
        bench.feed("identity_linked", **forms)
    answers: list[object] = []
    for number in range(LINKS_MAX):
        pn, lid = f"1555019{number:04d}@s.whatsapp.net", f"1000000000{number + 10_000}@lid"
        bench.observe("identity_linked", answers, pn=pn, lid=lid)
    bench.service.flush()


def moving(bench: Bench) -> None:
    """A number changes hands, and whoever had it has another one."""
    bench.claim()
    bench.feed("identity_linked", **CARL)
    bench.feed("identity_linked", pn=DORA["pn"], lid=CARL["lid"])
    bench.feed("identity_linked", pn=CARL["pn"], lid=DORA["lid"])


def back_and_forth(bench: Bench) -> None:
    """A number comes back to who had it first; another account saw it in between."""
    bench.claim()
    bench.claim("S", "second")
    bench.feed("identity_linked", **CARL)
    bench.feed("identity_linked", "second", pn=CARL["pn"], lid=DORA["lid"])
    bench.feed("identity_linked", **CARL)
    bench.feed("identity_linked", "second", **DORA)


@pytest.fixture
def lost(path: Path, tmp_path: Path) -> Path:
    """Three accounts, all archived; what one of them said of somebody, no record says any more."""
    with Bench(path) as bench:
        for name in ("first", "main", "third"):
            bench.claim(f"{name}-1", name)
        bench.claim("A")
        bench.feed("identity_observed", controller="main-1", socket=1, forms=CARL)
    moved(path, LAST, tmp_path / "archive")
    return path


@pytest.mark.parametrize(
    ("words", "name"), [([], "first"), (["--account", "main"], "main"), (["-a", "third"], "third")]
)
def test_what_only_an_archive_names_goes_with_one_account(
    lost: Path, tmp_path: Path, words: list[str], name: str
) -> None:
    """Nobody else is said to hold it, and its tokens join the stream of no other account."""
    before = erase(lost, CARL["pn"], "--dry-run", *words)
    assert "2 forms of an identity and 0 chats, named in no record that is left" in before.output
    said = told(lost, CARL["pn"], *words)
    assert (said["accounts"], said["kept"], said["traces"]) == ({name: 2}, 0, [])
    assert [one for one, some in types(lost).items() if "subject_erased" in some] == [name]
    assert not held(lost, *CARL.values())
    assert audited(lost, tmp_path / "archive")[0]


def counted(path: Path) -> list[object]:
    """How many forms an erasure by each form would find."""
    return [told(path, form, "--dry-run")["identities"] for form in FORMS]


@pytest.mark.parametrize("life", [superseded, many, moving, back_and_forth])
def test_an_archive_forgets_no_form(path: Path, tmp_path: Path, life: Life) -> None:
    """By any form as many are found as before; erased, they leave no trace and a sound log."""
    with Bench(path) as bench:
        life(bench)
    before = counted(path)
    moved(path, LAST, tmp_path / "archive")
    assert counted(path) == before
    assert erase(path, CARL["pn"]).exit_code == 0
    assert CARL["pn"] not in held(path, *FORMS)
    assert told(path, CARL["pn"], "--dry-run")["identities"] == 0
    assert audited(path, tmp_path / "archive")[0]
    sound(path)


@pytest.mark.parametrize("archived", range(1, 5))
@pytest.mark.parametrize("again", [False, True])
def test_the_newest_link_decides_wherever_it_is(
    path: Path, tmp_path: Path, archived: int, again: bool
) -> None:
    """A number that changed hands before an archive, or after it, is of whom it was linked to."""
    with Bench(path) as bench:
        moving(bench)
    moved(path, archived + 1, tmp_path / "archive")
    if again:
        with Bench(path, seed=2) as bench:
            bench.feed("identity_linked", **CARL)
        moved(path, LAST, tmp_path / "archive")
    said = erase(path, CARL["pn"])
    assert said.exit_code == 0, said.output
    gone = [*CARL.values(), DORA["pn"]] if again else [CARL["pn"], DORA["lid"]]
    assert [form for form in FORMS if form in held(path, *FORMS)] == [
        form for form in (CARL["lid"], *DORA.values()) if form not in gone
    ]


def test_a_pair_counts_where_it_was_named_last(path: Path, tmp_path: Path) -> None:
    """Named early in a record that is left and late in one that is archived: the late one is it."""
    with Bench(path) as bench:
        bench.claim()
        bench.claim("S", "second")
        bench.feed("identity_linked", **CARL)
        bench.feed("identity_linked", "second", pn=CARL["pn"], lid=DORA["lid"])
        bench.feed("identity_linked", "second", **CARL)
    moved(path, LAST, tmp_path / "archive", "second")
    assert erase(path, CARL["pn"]).exit_code == 0
    assert held(path, *CARL.values(), DORA["lid"]) == [DORA["lid"]]


def test_another_accounts_link_still_says_whose_a_number_is(path: Path, tmp_path: Path) -> None:
    """A number that stays, although the LID that it is of is erased, is nobody else's by that."""
    with Bench(path) as bench:
        moving(bench)
        bench.claim("S", "second")
        bench.feed("identity_observed", "second", controller="S", forms={"pn": CARL["pn"]})
    moved(path, LAST, tmp_path / "archive", "main")
    assert erase(path, DORA["lid"], "--account", "main").exit_code == 1
    assert erase(path, CARL["pn"]).exit_code == 0
    assert held(path, CARL["lid"], *DORA.values(), CARL["pn"]) == [CARL["lid"], DORA["pn"]]
