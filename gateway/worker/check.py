"""What a worker needs of the machine: neonize that can be imported, and roots of trust.

`check` is for a process of its own: a library that is missing may do worse than raise. Looked at
are what neonize 0.5.2 needs: glibc 2.34, a shell (it asks `uname`), libmagic, its own binary.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Mapping

from ..redaction import redact
from ..whatsapp.adapter import NeonizeMissing, load_neonize

GLIBC_MIN = (2, 34)
"""Measured: the wheel's tag promises less, so pip installs it where it can't be loaded."""

IMAGE = "python:3.13-slim"
"""An image of a container that has what is needed."""

INSTALL = "pip install 'linewarden[whatsapp]'"

# Where Go looks for certificates on Linux, and on macOS nowhere: the system is asked there.
_ROOT_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_ROOT_FOLDERS = "/etc/ssl/certs:/etc/pki/tls/certs"


def check() -> None:
    """Import neonize; raises `NeonizeMissing` with what is missing and the command to run."""
    try:
        load_neonize()
    except NeonizeMissing as error:
        message, hint = _diagnosis(error.__cause__)
        raise NeonizeMissing(message, hint=hint) from error


def glibc() -> tuple[int, int] | None:
    """The version of the C library, or none where it isn't glibc."""
    try:
        found = re.match(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        return None
    return (int(found[1]), int(found[2])) if found else None


def trusted_roots(environ: Mapping[str, str]) -> str | None:
    """Where the library finds the certificates that it trusts, or none where it finds none."""
    if sys.platform != "linux":
        return "the system's"
    given = environ.get("SSL_CERT_FILE")
    for file in (given,) if given else _ROOT_FILES:
        if os.path.isfile(file):
            return file
    for folder in (environ.get("SSL_CERT_DIR") or _ROOT_FOLDERS).split(":"):
        if os.path.isdir(folder) and os.listdir(folder):
            return folder
    return None


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What to start a worker with: where the system has no certificates, those that pip brought.

    Go reads the environment that its process was started with, so a worker can't do it itself.
    """
    if trusted_roots(environ) is None:
        try:
            return {**environ, "SSL_CERT_FILE": importlib.import_module("certifi").where()}
        except ImportError:
            pass
    return dict(environ)


def _diagnosis(cause: BaseException | None) -> tuple[str, str]:
    """The message and the hint for what kept neonize from being imported."""
    version = glibc()
    if sys.platform == "linux" and version is None:
        return (
            "neonize needs glibc, and this Linux has another C library (Alpine has musl)",
            f"use a system with glibc; for a container the image {IMAGE}, not an alpine one",
        )
    if version is not None and version < GLIBC_MIN:
        return (
            f"neonize needs glibc {_dotted(GLIBC_MIN)}, and here is {_dotted(version)}",
            f"upgrade to Debian 12, Ubuntu 24.04 or later; for a container the image {IMAGE}",
        )
    if isinstance(cause, FileNotFoundError) and cause.filename == "/bin/sh":
        return (
            "neonize asks a shell what machine this is, and there is no /bin/sh",
            f"use an image that has a shell, such as {IMAGE}, not a distroless one",
        )
    if "libmagic" in str(cause):
        return (
            "neonize needs libmagic, which is missing",
            "apt-get install libmagic1, brew install libmagic, or pip install pylibmagic",
        )
    if isinstance(cause, ModuleNotFoundError):
        name = (cause.name or "").partition(".")[0]
        if name == "neonize":
            return (
                f"neonize is not installed for this Python ({sys.executable})",
                f"{INSTALL}; there are wheels for Linux with glibc (x86_64, aarch64, i686, s390x), "
                f"macOS 12 and Windows, and this is {platform.system()} {platform.machine()}",
            )
        return f"neonize needs the package {name}, which is missing", INSTALL
    return (
        f"neonize's library can't be loaded: {redact(str(cause))}",
        "pip install --force-reinstall 'linewarden[whatsapp]', for the Python that runs it and "
        "into a folder that isn't mounted noexec",
    )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
