"""What a file is, and what may be written in its place."""

import os
from pathlib import Path

import pytest

from linewarden.eventstore.kind import COMPANIONS, FileExists, Kind, check_room, kind_of
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.statemachine.errors import InputError

from .bundles import bundle, lines, write


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A file of each kind, and what is none."""
    SQLiteStore.open(tmp_path / "log").close()
    write(tmp_path / "bundle", lines(bundle()))
    (tmp_path / "text").write_text("SQLite")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "way").symlink_to("log")
    (tmp_path / "other").symlink_to("empty")
    names = ("log", "way", "bundle", "text", "empty", "folder", "pipe", "link", "other")
    return {name: tmp_path / name for name in names}


def test_a_file_is_known_by_its_first_bytes(files: dict[str, Path]) -> None:
    """Only what is opened as a file is looked at: a pipe would hold us up for ever."""
    kinds = {name: kind for name, path in files.items() if (kind := kind_of(path)) is not None}
    assert kinds == {"log": "log", "way": "log", "bundle": "bundle"}


@pytest.mark.parametrize(("by", "room"), [(None, "text"), ("bundle", "bundle")])
def test_what_is_evidence_is_not_replaced(
    files: dict[str, Path], by: Kind | None, room: str
) -> None:
    """A bundle by a bundle, text by text, no log or link; and nothing that nobody said may go."""
    for name, path in files.items():
        with pytest.raises(FileExists, match="There is a file"):
            check_room(str(path), replace=False, by=by)
        if name in {room, "empty"}:
            check_room(str(path), replace=True, by=by)
        else:
            with pytest.raises(FileExists, match="was left"):
                check_room(str(path), replace=True, by=by)
    check_room(str(files["text"]) + ".new", replace=False)


@pytest.mark.parametrize("end", COMPANIONS)
@pytest.mark.parametrize("replace", [False, True])
def test_the_names_of_what_lies_beside_a_log_are_taken(
    files: dict[str, Path], end: str, replace: bool
) -> None:
    """Whether there is such a file now or not: a gateway that starts would make it."""
    beside = files["log"].with_name("log" + end)
    for _ in range(2):
        with pytest.raises(InputError, match="companion"):
            check_room(str(beside), replace=replace, by="bundle")
        beside.touch()
