"""Another version of the code: a copy of the package with one change in it."""

import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3]
FLOORS = ("statemachine", "eventstore", "projections", "tools")
CONFLICT = 'Row("close.replaced", ALIVE, X, "close.replaced.conflict")'
LOOP = 'Row("close.replaced", ALIVE, G, "close.replaced.conflict")'


def changed_code(
    folder: Path, old: str = CONFLICT, new: str = LOOP, *, file: str = "lifecycle.py"
) -> Path:
    """A folder with a copy of the package in whose decisions `new` stands in the place of `old`.

    The gateway stays behind: a replay has to do without it.
    """
    package = folder / "linewarden"
    package.mkdir(parents=True)
    shutil.copy(PACKAGE / "__init__.py", package)
    for floor in FLOORS:
        shutil.copytree(
            PACKAGE / floor, package / floor, ignore=shutil.ignore_patterns("__pycache__")
        )
    changed = package / "statemachine" / file
    text = changed.read_text("utf-8")
    assert text.count(old) == 1
    changed.write_text(text.replace(old, new), "utf-8")
    return folder
