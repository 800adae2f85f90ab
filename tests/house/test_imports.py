"""House rules: imports run down between the floors, and only the service knows time and chance."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

FLOORS = {"statemachine": 1, "eventstore": 2, "projections": 3, "gateway": 4, "tools": 5}

# What each floor may import that is neither ours nor Python's.
BOUGHT_IN = {
    1: {"msgspec", "transitions"},
    2: {"cryptography", "msgspec", "orjson", "psycopg", "sqlite_utils"},
    3: {"msgspec", "orjson"},
    4: {"msgspec", "orjson", "neonize", "pylibmagic", "starlette", "uvicorn"},
    5: {"click", "eventsourcing", "segno", "msgspec", "orjson", "sqlite_utils", "tabulate"},
}
# Where a name of BOUGHT_IN, or of Python, may be imported at all.
ONLY_IN = {
    "neonize": ("gateway/whatsapp/*", "gateway/worker/*"),
    "pylibmagic": ("gateway/whatsapp/*", "gateway/worker/*"),
    "cryptography": ("eventstore/signing.py",),
    "psycopg": ("eventstore/*",),
    "sqlite3": ("eventstore/*", "tools/bench*"),
    "sqlite_utils": ("eventstore/*", "tools/bench*"),
    "eventsourcing": ("tools/bench*",),
    "segno": ("tools/pairing.py",),
}

TIME_AND_CHANCE = {"random", "secrets", "time", "uuid"}
CLOCKS_AND_DICE = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("os.urandom", "os.getrandom"),
}
# Not every module that can reach the world, but every one that a decision might be tempted by.
WORLD = {
    *("asyncio", "concurrent", "contextvars", "ctypes", "fcntl", "ftplib", "glob", "http"),
    *("importlib", "inspect", "io", "locale", "logging", "mmap", "multiprocessing", "os"),
    *("pathlib", "platform", "queue", "sched", "select", "selectors", "shelve", "shutil"),
    *("signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys"),
    *("tempfile", "threading", "urllib", "warnings", "weakref", "zoneinfo", "_thread"),
}
# `hash` and `id` differ between two runs of the same code.
IMPURE_CALLS = {"__import__", "breakpoint", "eval", "exec", "hash", "id", "input", "open", "print"}

Modules = dict[str, ast.Module]


def imports(path: str, tree: ast.Module) -> Iterator[tuple[str, str, bool]]:
    """Yields place, full dotted name and whether it was relative, of all that a source imports."""
    package = ["linewarden", *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield f"{path}:{node.lineno}", alias.name, False
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                yield f"{path}:{node.lineno}", ".".join([*base, alias.name]), node.level > 0


def floor_of(path: str) -> int | None:
    """Gives the floor of a source, or none for the face at the root."""
    return FLOORS.get(path.partition("/")[0])


def test_imports_run_down(sources: Modules) -> None:
    """A source imports from its own floor or from below, never upwards and never the face."""
    upward = []
    for path, tree in sources.items():
        own = floor_of(path)
        for place, name, _ in imports(path, tree):
            parts = name.split(".")
            if parts[0] != "linewarden":
                continue
            target = FLOORS.get(parts[1]) if len(parts) > 1 else None
            # The face gathers what a gateway embeds; the tools stand on it and not below it.
            if (own is None and target == FLOORS["tools"]) or (
                own is not None and (target is None or target > own)
            ):
                upward.append(f"{place} imports {name}")
    assert not upward, "\n".join(upward)


def test_sources_import_each_other_relatively(sources: Modules) -> None:
    """Sources find each other relatively, the face absolutely, so that any folder name works."""
    wrong = [
        f"{place} imports {name}"
        for path, tree in sources.items()
        for place, name, relative in imports(path, tree)
        if name.split(".")[0] == "linewarden" and relative == (floor_of(path) is None)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_floor_has_its_own_shelf_of_libraries(sources: Modules) -> None:
    """A floor imports Python, what stands below it and the few libraries that it is allowed."""
    strange = []
    for path, tree in sources.items():
        allowed = BOUGHT_IN.get(floor_of(path) or 0, set())
        for place, name, _ in imports(path, tree):
            top = name.split(".")[0]
            ours = top == "linewarden" or top in sys.stdlib_module_names
            if not ours and top not in allowed:
                strange.append(f"{place} imports {top}")
    assert not strange, "\n".join(strange)


def test_libraries_with_one_place_stay_there(sources: Modules) -> None:
    """Only the adapter and the worker know neonize, and only the store knows its databases."""
    leaks = [
        f"{place} imports {name}"
        for path, tree in sources.items()
        for place, name, _ in imports(path, tree)
        for places in [ONLY_IN.get(name.split(".")[0])]
        if places and not any(fnmatch(path, pattern) for pattern in places)
    ]
    assert not leaks, "\n".join(leaks)


def test_nothing_below_the_gateway_reads_a_clock_or_draws(sources: Modules) -> None:
    """Time, ids and dice are arguments below the gateway, so that a replay owns them."""
    wild = []
    for path, tree in sources.items():
        if (floor_of(path) or FLOORS["gateway"]) >= FLOORS["gateway"]:
            continue
        for place, name, _ in imports(path, tree):
            if name.split(".")[0] in TIME_AND_CHANCE or name in CLOCKS_AND_DICE:
                wild.append(f"{place} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                tail = ".".join(ast.unparse(node).split(".")[-2:])
                if tail in CLOCKS_AND_DICE:
                    wild.append(f"{path}:{node.lineno} uses {tail}")
    assert not wild, "\n".join(wild)


def test_decisions_are_pure(sources: Modules) -> None:
    """The state machine imports nothing that reaches the world and calls nothing that does."""
    impure = []
    for path, tree in sources.items():
        if floor_of(path) != FLOORS["statemachine"]:
            continue
        for place, name, _ in imports(path, tree):
            if name.split(".")[0] in WORLD:
                impure.append(f"{place} imports {name}")
        for node in ast.walk(tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in IMPURE_CALLS:
                impure.append(f"{path}:{node.lineno} calls {called}")
    assert not impure, "\n".join(impure)


def test_the_face_is_quick_to_import(tmp_path: Path) -> None:
    """Importing linewarden loads no database, no WhatsApp library and no command line."""
    slow = ("click", "eventsourcing", "neonize", "psycopg", "sqlite_utils", "tabulate")
    script = f"import sys, linewarden; print(*[m for m in {slow!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
