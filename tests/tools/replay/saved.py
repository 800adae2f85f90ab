"""Bundles in files, and commands called on them."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from linewarden.eventstore import bundle_writing
from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_writing import write_bundle


def save(bundle: Bundle, folder: Path, name: str = "night") -> str:
    """A bundle in a file."""
    path = folder / f"{name}.incident.jsonl.gz"
    write_bundle(path, bundle.header, bundle.records, bundle.trailer, replace=True)
    return str(path)


def save_newer(bundle: Bundle, folder: Path, name: str = "newer") -> str:
    """A bundle as a newer linewarden would write it; this one writes only what it can read."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bundle_writing, "_prove", lambda *_: None)
        newer = replace(bundle.header, schema=99)
        return save(Bundle(newer, bundle.records, bundle.trailer), folder, name)


def call(command: click.Command, *given: str) -> Result:
    return CliRunner().invoke(command, given)
