"""Logs that scenarios leave, and bundles of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_writing import write_bundle
from linewarden.tools.incident import cut
from linewarden.tools.scenario_file import read_scenario
from linewarden.tools.scenario_judge import judge
from linewarden.tools.scenario_run import Run

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
FILES = sorted(FOLDER.rglob("*.jsonl"))
RESTART = FOLDER / "tr-01-408-monitor-restart-lost-reply.jsonl"
TWO = FOLDER / "oc-065-two-accounts-of-one-number.jsonl"


def played(scenario: Path, path: Path) -> Path:
    """The log that a scenario leaves."""
    judge(read_scenario(scenario), str(path))
    return path


def saved(bundle: Bundle, path: Path) -> Path:
    """The file of a bundle."""
    write_bundle(path, bundle.header, bundle.records, bundle.trailer)
    return path


@contextmanager
def played_out(path: Path) -> Iterator[Run]:
    """A scenario played through the real service on a virtual clock, to its virtual end."""
    scenario = read_scenario(path)
    run = Run(scenario)
    try:
        for line in scenario.lines:
            run.play(line)
        run.advance(scenario.until)
        yield run
    finally:
        run.close()


def bundles_of_scenario(path: Path) -> list[Bundle]:
    """The whole bundle of each account of a scenario, by first record, exported where it ends."""
    with played_out(path) as run:
        store, at = run.service.store, run.clock.now()
        return [cut(store, account, at=at) for account in store.streams()]


def bundle_of_scenario(path: Path, account: str | None = None) -> Bundle:
    """The bundle of one account of a scenario, of its first where none is named."""
    bundles = bundles_of_scenario(path)
    return next(bundle for bundle in bundles if account in (None, bundle.header.account))
