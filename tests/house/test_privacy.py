"""House rules: no file tells of a developer's machine, of a registry or of a real person."""

import configparser
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

# Folders of people and of this project's workshops; put together so that this file is innocent.
MACHINE = re.compile(
    r"(?<![\w.$}])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "Us" + "ers", "ho" + "me"]) + r")/"
    r"|/tmp/" + r"lw\b|[A-Za-z]:\\Us" + r"ers"
)
REGISTRY = re.compile(
    "|".join(
        [
            *(r"py" + r"pi\.org", r"python" + r"hosted\.org", r"registry\." + r"npmjs"),
            *(r"index" + r"-url\s*[=:]?\s*\S*://", r"find" + r"-links\s*[=:]"),
            r"https?://[^\s\"']*/sim" + r"ple\b",
        ]
    ),
    re.IGNORECASE,
)

# 555-01xx is set aside for fiction; a LID and a group of ours are one number and many zeros.
FICTITIOUS = re.compile(r"1555010\d{4,8}|1555019\d{4,8}|10{9}\d{5}|1203630{9}\d{3}")
PHONES = [
    re.compile(r"(?<![\w)\]])\+(\d[\d ().-]{6,18}\d)(?![\d])"),
    re.compile(
        r"(?<![\d-])(\d{5,20})(?:-\d+)?(?:[.:_]\d+)*@(?:s\.whatsapp\.net|c\.us|g\.us|lid|hosted)\b"
    ),
    re.compile(r"[\"'](\d{10,15})[\"']"),
]
DIGITS_OF_A_NUMBER = range(8, 21)


def places(texts: dict[str, str], pattern: re.Pattern[str]) -> list[str]:
    """Gives file and line of every match; the match itself stays where it is."""
    return [
        f"{name}:{number}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def hosts_of_this_machine() -> Iterator[str]:
    """Yields the hosts that this machine's installers are set to use, whatever they are called."""
    found = [
        value for name, value in os.environ.items() if re.match(r"(PIP|UV)_.*(INDEX|LINKS)", name)
    ]
    configurations = [
        *(Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"),
        *(Path("/etc/pip.conf"), Path(sys.prefix) / "pip.conf"),
    ]
    parser = configparser.RawConfigParser(strict=False)
    parser.read(configurations, encoding="utf-8")
    for section in parser.sections():
        found += [value for key, value in parser.items(section) if "index" in key or "links" in key]
    for word in " ".join(found).split():
        host = urlsplit(word).hostname
        if host and host not in {"localhost", "127.0.0.1"}:
            yield host


def test_no_file_names_a_machine(texts: dict[str, str], root: Path) -> None:
    """No file holds a path of the machine that it was written on."""
    found = places(texts, MACHINE)
    for folder in (root, Path.home()):
        # A short path such as /app means something else in a document.
        if len(str(folder)) > len("/srv/app"):
            found += places(texts, re.compile(re.escape(f"{folder}/")))
    assert not found, "\n".join(found)


def test_no_file_names_a_registry(texts: dict[str, str]) -> None:
    """No file says where packages come from: that is for the machine that installs."""
    found = places(texts, REGISTRY)
    for host in hosts_of_this_machine():
        found += places(texts, re.compile(re.escape(host)))
    assert not found, "\n".join(found)


def test_there_is_no_lock_file(files: list[str]) -> None:
    """No lock file is kept, because it names the registry that it was made from."""
    assert not [name for name in files if re.search(r"(\.lock|-lock\.\w+)$", name)]


def test_phone_numbers_are_fiction(texts: dict[str, str]) -> None:
    """Every phone number, LID and group in the tree is one that nobody can have."""
    real = [
        f"{name}:{number}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in PHONES
        for match in pattern.finditer(line)
        for digits in [re.sub(r"\D", "", match[1])]
        if len(digits) in DIGITS_OF_A_NUMBER and not FICTITIOUS.fullmatch(digits)
    ]
    assert not real, "\n".join(real)
