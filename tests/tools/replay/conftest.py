"""Every scenario as an incident, made once for all tests of the replay, and one in a file."""

from pathlib import Path

import pytest

from linewarden.eventstore.bundle_format import Bundle

from ..incidents import bundles_of_scenario
from .logs import claimed, closed, fired, incident_of, opened
from .saved import save

FOLDER = Path(__file__).resolve().parents[2] / "scenarios"


@pytest.fixture(scope="session")
def incidents() -> dict[str, Bundle]:
    """The incident of each account of each scenario, by the names of both."""
    return {
        f"{path.stem}-{bundle.header.account}": bundle
        for path in sorted(FOLDER.rglob("*.jsonl"))
        for bundle in bundles_of_scenario(path)
    }


@pytest.fixture
def night(tmp_path: Path) -> str:
    """An incident in which a line was replaced at its fourth record."""
    bundle = incident_of(
        claimed(), opened(1), fired(61, "stability"), closed(62, 440), closed(70), closed(80)
    )
    return save(bundle, tmp_path)
