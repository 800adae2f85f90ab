"""Logs that scenarios leave, and bundles of them."""

from pathlib import Path

from linewarden.eventstore.bundle import Bundle, write_bundle
from linewarden.tools.scenario_file import read_scenario
from linewarden.tools.scenario_judge import judge

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
