"""The SQL of the store, read once from the `.sql` files beside this module."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


def load(file: str) -> dict[str, str]:
    """Read the named statements of a file in their order, without their closing semicolon."""
    text = files(__package__).joinpath(file).read_text("utf-8")
    parts = _NAME.split(text)[1:]
    named: dict[str, str] = {}
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        if name in named:
            raise ValueError(f"{file} names {name} twice")
        named[name] = statement.strip().removesuffix(";")
    return named


STATEMENTS = load("statements.sql")
