"""`html`: one page that loads nothing, lets nothing of a bundle be markup, and shows everything."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.version import VERSION
from linewarden.tools.render.page import json_text

from ..replay.logs import at, claimed, closed, incident_of, opened
from .pictures import EVIL, conflict, hostile, restarted, storm, text_of

LOADING = {
    "action", "archive", "background", "cite", "classid", "codebase", "data", "formaction", "href",
    "icon", "longdesc", "manifest", "ping", "poster", "profile", "src", "srcdoc", "srcset", "style",
    "usemap", "xlink:href",
}  # fmt: skip
ALLOWED = set(
    "html head meta title style body header p span h1 h2 button noscript code section div aside "
    "label input table thead tbody tr th footer dl script kbd br".split()
)
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=4000 --enable-logging=stderr"
)


class Page(HTMLParser):
    """The elements of a page, its attributes, and the texts of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.policy = ""
        self.parts: list[tuple[str, str]] = []
        self.inside: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        named = dict(attrs)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""
        if tag in {"script", "style"}:
            self.inside = named.get("type") or tag
            self.parts.append((self.inside, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside is not None:
            kind, text = self.parts[-1]
            self.parts[-1] = (kind, text + data)

    def text(self, kind: str) -> str:
        return "".join(text for one, text in self.parts if one == kind)

    @property
    def data(self) -> Any:
        return json.loads(self.text("application/json"))


@pytest.fixture(params=[restarted, conflict, hostile])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    made: Bundle = request.param()
    return made


def test_nothing_is_loaded_from_anywhere(bundle: Bundle) -> None:
    """The page has no attribute, no style and no element that could name another resource."""
    page = Page(text_of(bundle, "html"))
    assert set(page.tags) <= ALLOWED
    assert not LOADING & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name in re.findall(r"url\(([^)]*)", page.text("style")):
        assert name.startswith("#")
    assert "@import" not in page.text("style")
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "import(", "sendBeacon"):
        assert word not in page.text("script")


def test_the_policy_allows_what_stands_in_the_page_only(bundle: Bundle) -> None:
    """Scripts and style are allowed by their hashes, and nothing else is."""
    page = Page(text_of(bundle, "html"))
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for rule, kind in (("script-src", "script"), ("style-src", "style")):
        texts = [text for one, text in page.parts if one == kind]
        hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule].split() == [f"'sha256-{one}'" for one in hashes]


def test_what_a_bundle_says_is_data() -> None:
    """Texts that are markup, scripts or templates stand in the data as they are, and only there."""
    text = text_of(hostile(), "html")
    page = Page(text)
    assert page.tags.count("script") == 3
    data = page.data
    assert [life["name"] for life in data["controllers"]] == [f"{e}{n}" for n, e in enumerate(EVIL)]
    raw = page.text("application/json")
    assert not set("<>&\u2028\u2029") & set(raw)
    assert "alert(1)" not in text.replace(raw, "")


@pytest.mark.parametrize("text", EVIL)
def test_json_cant_leave_its_script(text: str) -> None:
    """Nothing in it ends a script or a line of JavaScript, and it reads back the same."""
    written = json_text({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}


def test_the_scripts_write_text_and_never_markup() -> None:
    """No script makes elements out of text or runs text."""
    script = Page(text_of(restarted(), "html")).text("script")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "Function(", "setTimeout(", "DOMParser"):  # fmt: skip
        assert word not in script


def test_the_page_says_what_it_is_of(bundle: Bundle) -> None:
    """The log, the range, the hashes before and after, the code that decided and that drew."""
    about = dict(Page(text_of(bundle, "html")).data["about"])
    header = bundle.header
    assert about["log"] == header.log
    assert about["range"] == f"versions {header.first} to {header.last} of main"
    assert header.before.chain in about["chain before"]
    assert bundle.trailer.head.chain in about["chain after"]
    assert header.table in about["decided by"] and header.build in about["decided by"]
    assert VERSION in about["rendered by"]


def test_each_record_is_told_whole() -> None:
    """Its rule with its sentence, its changes with instants as text, its effects, its bytes."""
    bundle = restarted()
    data = Page(text_of(bundle, "html")).data
    closed = data["records"][4]
    assert closed["said"] == "closed 408" and closed["rule"] == "close.transient.retry"
    assert data["sentences"][closed["rule"]].startswith("The connection was lost")
    assert ["retry_at", "2023-11-14T22:15:10.578Z"] in closed["changes"]
    assert ["detail", "Request Time-out"] in closed["told"]
    assert data["records"][11]["effects"] == [
        "send: chat chat_0b59f4e629439f254f, controller B, reply text"
    ]
    assert [one["body"] for one in data["records"]] == [r.body.decode() for r in bundle.records]


def test_the_cards_say_how_it_ended() -> None:
    """State, gaps, replies and notices at one look, with a tone."""
    summary = Page(text_of(conflict(), "html")).data["summary"]
    cards = {name: (value, tone) for name, value, tone in summary}
    assert cards["state at the end"] == ("conflict", "bad")
    assert cards["replies"] == ("1 refused", "bad")
    assert cards["notices"] == ("1", "warn")


def test_a_storm_is_told_by_its_number() -> None:
    """A record that many stimuli share says how many, and the head of the page says of how many."""
    text = text_of(storm(), "html")
    assert "6 records of 10,004 stimuli, versions 1 to 6" in text
    assert [record["times"] for record in Page(text).data["records"]] == [1] * 5 + [9_999]
    assert "stimuli, versions" not in text_of(restarted(), "html")


def test_an_instant_that_is_none_is_said_so() -> None:
    """Of a claim that supersedes, nothing is proven: that is no time in 1970, and no 0."""
    changes = dict(Page(text_of(storm(), "html")).data["records"][3]["changes"])
    assert (changes["proof"], changes["opened_at"], changes["socket"]) == ("none", "none", "0")


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no chromium here: the page is checked as text only"
)


def shown(path: Path, place: str, profile: Path) -> tuple[str, str]:
    """What a real browser makes of a page, and what it logged."""
    assert BROWSER is not None
    # As root chromium refuses to start in its sandbox.
    flags = [*FLAGS.split(), *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    command = [BROWSER, *flags, f"--user-data-dir={profile}", "--dump-dom", path.as_uri() + place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, "\n".join(re.findall(r".*CONSOLE.*", done.stderr))


@needs_browser
def test_a_browser_draws_it(tmp_path: Path) -> None:
    """A real browser draws lanes and rows, opens the address's record and logs no complaint."""
    path = tmp_path / "incident.html"
    path.write_text(text_of(restarted(), "html"), "utf-8")
    page, console = shown(path, "#5", tmp_path / "profile")
    assert console == ""
    assert page.count("<tr data-i=") + page.count('<tr class="idle" data-i=') == 14
    assert re.search(r"<h2>closed 408</h2>", page)
    for word in ("gap 7.622 s", ">connected<", ">text</text>", ">send_deadline</text>"):
        assert word in page


@needs_browser
def test_a_browser_draws_the_number_of_a_storm(tmp_path: Path) -> None:
    """The dot of a shared record has its number below it."""
    path = tmp_path / "incident.html"
    path.write_text(text_of(storm(), "html"), "utf-8")
    page, console = shown(path, "", tmp_path / "profile")
    assert console == "" and page.count("×9,999</text>") == 1
    assert ">6 records</p>" in page


@needs_browser
def test_what_had_a_consequence_is_seen_among_thousands(tmp_path: Path) -> None:
    """Where thousands of records share a few hundred pixels, the few that matter are drawn."""
    path = tmp_path / "incident.html"
    signs = [st.Activity(at=at(2 + i), controller="A", source="baileys") for i in range(2_000)]
    bundle = incident_of(claimed(), opened(1), *signs, closed(2_002))
    path.write_text(text_of(bundle, "html"), "utf-8")
    page, console = shown(path, "", tmp_path / "profile")
    assert console == ""
    dots = re.findall(r'<circle [^>]*class="dot( idle)?[^>]*data-thing', page)
    assert [dot == "" for dot in dots][-1] and 100 < len(dots) < 1_000
    assert ">2,003 records, page 11 of 11</p>" in page


@needs_browser
def test_a_browser_runs_nothing_of_a_bundle(tmp_path: Path) -> None:
    """A hostile bundle is shown as text: no element of it exists, no request is tried."""
    path = tmp_path / "incident.html"
    path.write_text(text_of(hostile(), "html"), "utf-8")
    page, console = shown(path, "#7", tmp_path / "profile")
    assert console == ""
    assert "<img" not in page and page.count("<script") == 3
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
