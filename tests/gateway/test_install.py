"""What a worker needs of the machine: neonize imports, or one line says what to do."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from linewarden.gateway.whatsapp.adapter import NeonizeMissing
from linewarden.gateway.worker import check
from linewarden.gateway.worker.check import trusted_roots, worker_environment

ROOT = Path(__file__).resolve().parents[2]
IMPORT_S_MAX = 60
PIP = (sys.executable, "-m", "pip")

NO_LIBMAGIC = """
import ctypes, ctypes.util
find, load = ctypes.util.find_library, ctypes.CDLL.__init__
def load_others(self, name=None, *more, **named):
    if name == "libmagic.so.1":
        raise OSError("libmagic.so.1: cannot open shared object file")
    load(self, name, *more, **named)
ctypes.util.find_library = lambda name: None if name == "magic" else find(name)
ctypes.CDLL.__init__ = load_others
"""

NO_PACKAGE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""

NOT_LOADED = """
import ctypes
load = ctypes.CDLL.__init__
def load_others(self, name=None, *more, **named):
    if "neonize-" in str(name):
        raise OSError({error!r})
    load(self, name, *more, **named)
ctypes.CDLL.__init__ = load_others
"""

C_LIBRARY = """
import os
os.confstr = lambda name: {version!r}
"""

NO_SHELL = """
import os
def popen(*given):
    raise FileNotFoundError(2, "No such file or directory", "/bin/sh")
os.popen = popen
"""


def look(folder: Path, *hidden: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs `--check` in a process of its own, on a machine that lacks something."""
    (folder / "sitecustomize.py").write_text("".join(hidden))
    return subprocess.run(
        [sys.executable, "-m", "linewarden.gateway.worker", "--check"],
        env={"PYTHONPATH": str(folder), **environ},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=IMPORT_S_MAX,
        check=False,
    )


def test_neonize_imports_without_home_and_path(tmp_path: Path) -> None:
    """A worker needs no HOME, no PATH (so no `uname`) and no folder that it may write in."""
    done = look(tmp_path)
    assert done.returncode == 0, done.stderr


def test_libmagic_comes_with_the_install(tmp_path: Path) -> None:
    """Where the system has no libmagic, pylibmagic's is used."""
    done = look(tmp_path, NO_LIBMAGIC)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("hidden", "message", "hint"),
    [
        pytest.param(
            [NO_LIBMAGIC, NO_PACKAGE.format(name="pylibmagic")],
            "neonize needs libmagic, which is missing",
            "apt-get install libmagic1",
            id="libmagic",
        ),
        pytest.param(
            [NO_PACKAGE.format(name="neonize")],
            "neonize is not installed for this Python",
            "pip install 'linewarden[whatsapp]'",
            id="neonize",
        ),
        pytest.param(
            [NO_PACKAGE.format(name="phonenumbers")],
            "neonize needs the package phonenumbers, which is missing",
            "pip install 'linewarden[whatsapp]'",
            id="a dependency",
        ),
        pytest.param(
            [
                NOT_LOADED.format(error="version `GLIBC_2.34' not found"),
                C_LIBRARY.format(version="glibc 2.31"),
            ],
            "neonize needs glibc 2.34, and here is 2.31",
            "Debian 12",
            id="an old glibc",
        ),
        pytest.param(
            [NO_PACKAGE.format(name="neonize"), C_LIBRARY.format(version="")],
            "this Linux has another C library",
            "python:3.13-slim",
            id="musl",
        ),
        pytest.param(
            [NOT_LOADED.format(error="neonize.so: cannot open shared object file")],
            "neonize's library can't be loaded: neonize.so: cannot open shared object file",
            "pip install --force-reinstall 'linewarden[whatsapp]'",
            id="the binary",
        ),
        pytest.param([NO_SHELL], "there is no /bin/sh", "python:3.13-slim", id="a shell"),
    ],
)
def test_what_is_missing_is_told_with_what_to_do(
    tmp_path: Path, hidden: list[str], message: str, hint: str
) -> None:
    """Each thing that can be missing is one clear line, and another with the command to run."""
    if sys.platform != "linux" and any("confstr" in part for part in hidden):
        pytest.skip(reason="only Linux has several C libraries")
    done = look(tmp_path, *hidden)
    assert done.returncode == 1
    *_, told, advice = done.stderr.splitlines()
    assert message in told
    assert hint in advice
    assert "Traceback" not in done.stderr


def test_a_library_of_another_c_library_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library that doesn't know glibc's question is not glibc, as one with no answer is."""

    def unknown(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", unknown)
    assert check.glibc() is None


def test_the_cause_stays_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who embeds linewarden gets an error of its own kind, and can see what led to it."""

    def missing() -> None:
        raise NeonizeMissing() from ImportError("libmagic")

    monkeypatch.setattr(check, "load_neonize", missing)
    with pytest.raises(NeonizeMissing, match="libmagic") as caught:
        check.check()
    assert isinstance(caught.value.__cause__, NeonizeMissing)
    assert isinstance(caught.value.__cause__.__cause__, ImportError)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system that has no certificates where Go looks for them."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(check, "_ROOT_FILES", (str(tmp_path / "roots.crt"),))
    monkeypatch.setattr(check, "_ROOT_FOLDERS", str(tmp_path / "certs"))
    return tmp_path


def test_a_worker_is_given_certificates_where_the_system_has_none(bare: Path) -> None:
    """On a bare Debian, without ca-certificates, workers trust what pip trusts."""
    assert trusted_roots({}) is None
    given = worker_environment({"LANG": "C"})
    assert given["LANG"] == "C"
    assert "BEGIN CERTIFICATE" in Path(given["SSL_CERT_FILE"]).read_text("ascii", "replace")


def test_a_system_that_has_certificates_is_left_alone(bare: Path) -> None:
    """A file or a folder of certificates, usual or named in the environment, is enough."""
    (bare / "certs").mkdir()
    assert trusted_roots({}) is None
    (bare / "certs" / "one.pem").touch()
    assert trusted_roots({}) == str(bare / "certs")
    (bare / "own.pem").touch()
    assert trusted_roots({"SSL_CERT_FILE": str(bare / "own.pem")}) == str(bare / "own.pem")
    assert trusted_roots({"SSL_CERT_DIR": str(bare / "gone")}) is None
    assert worker_environment({"LANG": "C"}) == {"LANG": "C"}


def test_without_certificates_anywhere_nothing_is_made_up(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where certifi is missing too, the environment stays as it was."""
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert worker_environment({"LANG": "C"}) == {"LANG": "C"}


def test_a_fresh_environment_needs_nothing_else(tmp_path: Path) -> None:
    """The dependencies and the extra `whatsapp` are all that a worker needs, without libmagic."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["whatsapp"]]
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    python = fresh / "bin" / "python"
    done = subprocess.run(
        [*PIP, "--python", str(python), "install", "--only-binary=:all:", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and re.search("No matching distribution|No module named pip", done.stderr):
        pytest.skip(reason="pip can't reach an index that has neonize")
    assert done.returncode == 0, done.stderr
    (tmp_path / "linewarden").symlink_to(ROOT)
    (tmp_path / "sitecustomize.py").write_text(NO_LIBMAGIC)
    version = "from linewarden.tools.cli import main; main(['--version'])"
    for given in (["-m", "linewarden.gateway.worker", "--check"], ["-c", version]):
        done = subprocess.run(
            [python, *given],
            env={"PYTHONPATH": str(tmp_path)},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
