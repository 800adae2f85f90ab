"""Every scenario as an incident, made once for all tests of the replay."""

from pathlib import Path

import pytest

from linewarden.eventstore.bundle import Bundle
from linewarden.tools.incident import bundles_of_scenario

FOLDER = Path(__file__).resolve().parents[2] / "scenarios"


@pytest.fixture(scope="session")
def incidents() -> dict[str, Bundle]:
    """The incident of each account of each scenario, by the names of both."""
    return {
        f"{path.stem}-{bundle.header.account}": bundle
        for path in sorted(FOLDER.rglob("*.jsonl"))
        for bundle in bundles_of_scenario(path)
    }
