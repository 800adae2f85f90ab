"""What the tests of erasing and archiving stand on: the command, and a look at all of the files."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from linewarden.eventstore import open_reader
from linewarden.eventstore.verify import verify
from linewarden.tools import cli_keeping
from linewarden.tools.incident import cut
from linewarden.tools.replay.replay import replay


def erase(path: Path, subject: str, *more: str) -> Result:
    """The command, in this process."""
    result = CliRunner().invoke(
        cli_keeping.erase, ["--subject", subject, "--file", str(path), *more]
    )
    for form in (subject, subject.partition("@")[0]):
        assert form not in result.output
    return result


def told(path: Path, subject: str, *more: str) -> dict[str, object]:
    """What it says, as data."""
    answer: dict[str, object] = json.loads(erase(path, subject, "--json", *more).output)
    return answer


def held(path: Path, *needles: str) -> list[str]:
    """Which of these stand in any file of the log."""
    read = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    return [needle for needle in needles if needle.encode() in read]


def types(path: Path) -> dict[str, list[str]]:
    """The types of the records of each account."""
    reader = open_reader(path)
    try:
        return {
            name: [record.type for record in reader.read_stream(name)] for name in reader.streams()
        }
    finally:
        reader.close()


def sound(path: Path) -> None:
    """The log verifies, and its decisions are what today's code decides."""
    reader = open_reader(path)
    try:
        assert verify(reader).ok
        for name in reader.streams():
            assert replay(cut(reader, name, at=0)).first is None
    finally:
        reader.close()
