"""What a document points at is there: files, headings and pieces of records."""

import json
import re
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, block, text_of, without_blocks, words

A_FILE = re.compile(r"[\w./-]+/[\w.*-]+\.(?:py|sql|md|jsonl|toml)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_relative_links_resolve(page: Path) -> None:
    """Every link to a file of this repository leads to one, and to a heading that is in it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, broken


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    """Every path in backquotes is a file of this repository."""
    paths = {word for word in words(page.read_text("utf-8")) if A_FILE.fullmatch(word)}
    assert not [path for path in sorted(paths) if not list(ROOT.glob(path))]


@each_page
def test_code_blocks_say_what_they_are(page: Path) -> None:
    """Every fence is closed, so that what follows is read as text."""
    assert page.read_text("utf-8").count("\n```") % 2 == 0


def test_modules_of_the_lower_floors_are_explained() -> None:
    """Every module that decides is named in the architecture, so a reader finds its rules."""
    named = words(text_of("docs/architecture.md"))
    small = {"__init__", "errors", "outcome", "parsing", "version"}
    modules = {path for path in (ROOT / "statemachine").glob("*.py") if path.stem not in small}
    assert not {path.name for path in modules if f"statemachine/{path.name}" not in named}


def test_the_record_that_is_shown_is_real(demo: tuple[Path, str]) -> None:
    """The record in the architecture is one that the demo writes, byte for byte when canonical."""
    from linewarden.eventstore import encode, open_reader

    shown = encode(json.loads(block("docs/architecture.md", "json")))
    reader = open_reader(demo[0] / "demo/openclaw-85823.db")
    try:
        assert shown in [record.body for record in reader.read_all()]
    finally:
        reader.close()


def test_the_changelog_begins_with_this_version() -> None:
    """The newest entry of the changelog is the version of the code."""
    from linewarden.statemachine.version import VERSION

    newest = re.search(r"^## \[([^\]]+)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION
