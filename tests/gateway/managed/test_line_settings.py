"""How one account is connected is checked wherever it is said."""

import msgspec
import pytest

from linewarden.gateway.supervisor.settings import LineSettings
from linewarden.statemachine.errors import InputError


@pytest.mark.parametrize(
    "proxy",
    ["http://proxy:3128", "https://u:p@proxy.example", "socks5://u:a%40b@[::1]:1080/", "http://p/"],
)
def test_proxies_that_the_library_takes_are_taken(proxy: str) -> None:
    """HTTP, HTTPS and SOCKS5, with credentials or without, by name or by address."""
    assert LineSettings(session="x.db", proxy=proxy).proxy == proxy


@pytest.mark.parametrize(
    "proxy",
    [
        *("", "proxy:3128", "http://", "ftp://proxy", "socks5h://proxy", "http://proxy:0"),
        *("http://proxy:99999", "http://u:p%zz@proxy", "http://pro xy", "http://proxy\n"),
        "http://proxy/path",
    ],
)
def test_proxies_that_the_library_refuses_are_refused(proxy: str) -> None:
    """Another scheme, no host, no such port or a password that needs encoding is refused."""
    with pytest.raises(InputError, match="proxy"):
        LineSettings(session="x.db", proxy=proxy)


def test_settings_of_python_are_checked_too() -> None:
    """`LineSettings` made in Python are checked as those of a file, also where one is changed."""
    line = LineSettings(session="x.db", allow=())
    assert line.allow == ()
    with pytest.raises(InputError, match="pair_phone"):
        msgspec.structs.replace(line, pair_phone="0555")
    with pytest.raises(InputError, match="policy"):
        LineSettings(session="x.db", policy={"relnk": "auto"})
    with pytest.raises(InputError, match="pairing"):
        LineSettings(session="x.db", pairing="sms")  # type: ignore[arg-type]  # a wrong one
