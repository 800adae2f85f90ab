"""`linewarden verify` and `keygen`: exit codes, what they say, and what they say as data."""

import gzip
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore import open_reader, open_store
from linewarden.eventstore.anchors import AnchorFile, anchors_path
from linewarden.projections import checkpoints
from linewarden.projections.projections import Projections
from linewarden.tools.cli_verify import keygen, verify
from linewarden.tools.incident import cut_from
from linewarden.tools.moments import instant

from ..eventstore.anchoring import AT, compute_anew, tamper
from .incidents import RESTART, played, saved


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a scenario, with one anchor of all that is in it."""
    path = played(RESTART, tmp_path / "log.db")
    anchor(path)
    return path


def anchor(path: Path, key: Path | None = None) -> None:
    sign = None
    if key is not None:
        from linewarden.eventstore.signing import signer

        sign = signer(key)
    store = open_store(path)
    assert AnchorFile(store, anchors_path(path), sign).add(AT)
    store.close()


def run(*words: object) -> Result:
    return CliRunner().invoke(verify, [str(word) for word in words])


def data(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json").stdout)
    return found


def bundle_of(log: Path) -> Path:
    """The first half of an account, so that its anchor lies onward."""
    with open_reader(log) as reader:  # type: ignore[attr-defined] # a SQLite reader is one
        account = reader.streams()[0]
        middle = next(r for r in reader.read_stream(account) if r.version == 3).position
    return saved(cut_from(log, account, end=str(middle)), log.with_name("x.incident.jsonl.gz"))


def edited(bundle: Path, old: bytes, new: bytes) -> Path:
    lines = gzip.decompress(bundle.read_bytes())
    assert old in lines
    bundle.write_bytes(gzip.compress(lines.replace(old, new, 1), 6, mtime=0))
    return bundle


def test_an_intact_log_is_named_in_three_ways(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is given as a path, by --file, or lies where it does by default: exit code 0."""
    monkeypatch.chdir(log.parent)
    shutil.copy(log, "linewarden.db")
    for words in ([log], ["--file", log], []):
        result = run(*words)
        assert result.exit_code == 0
        assert result.stdout.startswith("intact: ")
    assert "last good anchor: position" in run(log).stdout
    assert "anchor" not in run().stdout


def test_what_is_tampered_with_is_exit_code_1(log: Path) -> None:
    """A changed record: exit code 1, the first bad position and the last good anchor."""
    store = open_store(log)
    account = store.streams()[0]
    last = list(store.read_stream(account))[-1]
    store.close()
    tamper(log, f"UPDATE records SET at = at + 1 WHERE position = {last.position}")
    result = run(log)
    assert result.exit_code == 1
    assert f"not intact: position {last.position} ({account}): " in result.stdout
    found = data(log)
    assert (found["ok"], found["first_bad_position"]) == (False, last.position)
    assert found["last_good_position"] == last.position - 1
    assert found["last_good_anchor"] is None


def test_records_cut_off_are_exit_code_1(log: Path) -> None:
    """Records that an anchor knows of and the log lacks: exit code 1."""
    whole = data(log)["records"]
    tamper(log, f"DELETE FROM records WHERE position = {whole}")
    assert (run(log).exit_code, data(log)["first_bad_position"]) == (1, whole)


def test_a_log_without_its_identity_is_exit_code_1(log: Path) -> None:
    """A log that is damaged where it begins is damaged, not unreadable."""
    tamper(log, "DELETE FROM meta")
    assert (run(log).exit_code, data(log)["ok"]) == (1, False)


def test_what_can_not_be_read_is_exit_code_2(log: Path, tmp_path: Path) -> None:
    """Nothing there, something else, a folder, or more than one thing to verify: exit code 2."""
    text = tmp_path / "text"
    text.write_text("neither a log nor a bundle")
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"no bundle\n", mtime=0))
    for words in (
        [tmp_path / "missing"],
        ["--file", tmp_path / "missing"],
        ["--bundle", tmp_path / "missing"],
        ["--bundle", log],
        [text],
        [packed],
        [packed, "--anchors", anchors_path(log)],
        [tmp_path],
        [log, "--file", log],
        ["--file", log, "--bundle", log],
        [log, "--anchors", tmp_path / "missing"],
        [log, "--anchors", text],
        [log, "--key", "nonsense"],
        ["--bundle", log, "--projections"],
        [log, "--archives", tmp_path / "missing"],
        [log, "--archives", ""],
    ):
        result = run(*words)
        assert result.exit_code == 2, words
        assert result.stderr.startswith("linewarden: ") and not result.stdout
    assert not (tmp_path / "missing").exists()


def test_an_unanchored_log_is_exit_code_3_where_an_anchor_is_required(log: Path) -> None:
    """Without an anchor a log is intact, and not enough for whoever requires one."""
    assert run(log, "--require-anchor").exit_code == 0
    Path(anchors_path(log)).unlink()
    assert run(log).exit_code == 0
    result = run(log, "--require-anchor")
    assert result.exit_code == 3
    assert "intact: " in result.stdout and "unanchored: " in result.stdout


def test_a_copy_of_anchors_is_compared_too(log: Path, tmp_path: Path) -> None:
    """What the anchors beside the log do not show, those that left it do."""
    copy = tmp_path / "copy"
    shutil.copy(anchors_path(log), copy)
    own = Path(anchors_path(log))
    tamper(log, f"DELETE FROM records WHERE position = {data(log)['records']}")
    own.unlink()
    assert run(log).exit_code == 0
    assert run(log, "--anchors", copy).exit_code == 1
    shutil.copy(copy, own)
    own.write_bytes(own.read_bytes().replace(b'"at":', b'"at" :'))
    assert "line 1: it is not canonical" in run(log).stdout


def test_checkpoints_are_compared_with_a_rebuild(log: Path) -> None:
    """A checkpoint that a start would trust and that is wrong: exit code 1, and whose it is."""
    store = open_store(log)
    projections = Projections(store)
    projections.catch_up()
    projections.checkpoint(store)
    store.close()
    result = run(log, "--projections")
    assert result.exit_code == 0 and "projections: " in result.stdout
    account = data(log)["stream"] or Projections(open_reader(log)).accounts()[0]
    with sqlite3.connect(log) as connection:
        (body,) = connection.execute(
            "SELECT body FROM checkpoints WHERE projection = ?", (checkpoints.PROJECTION,)
        ).fetchone()
        wrong = body.replace(b'"position":', b'"position":1', 1)
        assert wrong != body
        connection.execute("UPDATE checkpoints SET body = ?", (wrong,))
    connection.close()
    assert run(log).exit_code == 0
    assert run(log, "--projections").exit_code == 1
    assert data(log, "--projections")["stale"] == [account]


def test_a_bundle_is_verified(log: Path) -> None:
    """An exported incident carries the next anchor, so it is intact and anchored."""
    bundle = bundle_of(log)
    for words in ([bundle], ["--bundle", bundle], [bundle, "--anchors", anchors_path(log)]):
        result = run(*words, "--require-anchor")
        assert result.exit_code == 0, result.output
        assert "intact: 3 records of " in result.stdout
    assert data(bundle)["last_good_anchor"]["at"] == instant(AT)


def test_a_bundle_of_a_log_without_anchors_is_unanchored(log: Path) -> None:
    """Exit code 3 where an anchor is required; one that came another way does for it."""
    own = Path(anchors_path(log))
    copy = own.rename(own.with_name("copy"))
    bundle = bundle_of(log)
    assert [run(bundle).exit_code, run(bundle, "--require-anchor").exit_code] == [0, 3]
    # The bundle ends before the anchor, and has no leaves onward to it.
    assert run(bundle, "--anchors", copy, "--require-anchor").exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "good"),
    [
        (b'"epoch":1', b'"epoch":2', 0),
        (b'"version":2}', b'"version":9}', 1),
        (b'"linewarden.', b'"linewarden.x', 0),
        (b'"from":1', b'"from":2', None),
        (b'"trailer":true', b'"trailer":false', 3),
    ],
)
def test_a_changed_bundle_is_exit_code_1(
    log: Path, old: bytes, new: bytes, good: int | None
) -> None:
    """A bundle with a changed header, record or trailer: exit code 1, and what is good of it."""
    bundle = edited(bundle_of(log), old, new)
    for words in ([bundle], [bundle, "--anchors", anchors_path(log)]):
        assert run(*words).exit_code == 1
        assert data(*words)["records"] == (good or 0)


def test_a_bundle_made_anew_does_not_agree_with_the_log(log: Path, tmp_path: Path) -> None:
    """A forged bundle is intact by itself; the anchors of the log give it away."""
    copy = tmp_path / "copy"
    own = Path(anchors_path(log))
    shutil.copy(own, copy)
    forged = tmp_path / "forged.db"
    shutil.copy(log, forged)
    store = open_store(forged)
    account = store.streams()[0]
    position = next(store.read_stream(account, 1)).position
    store.close()
    tamper(
        forged,
        f"UPDATE records SET record = replace(record, '\"epoch\":1', '\"epoch\":2') "
        f"WHERE position = {position}",
    )
    compute_anew(forged, account)
    anchor(forged)
    bundle = saved(cut_from(forged, account), tmp_path / "forged.gz")
    assert run(bundle, "--require-anchor").exit_code == 0
    result = run(bundle, "--anchors", copy)
    assert result.exit_code == 1
    assert "not those that were anchored" in result.stdout


def test_signed_anchors_are_required_by_key(log: Path, tmp_path: Path) -> None:
    """With a key only what it signed counts, of a log and of a bundle; keygen makes one."""
    pytest.importorskip("cryptography", reason="the extra `audit` is not installed")
    key = tmp_path / "anchors.key"
    made = CliRunner().invoke(keygen, [str(key), "--json"])
    public = json.loads(made.stdout)["key"]
    assert run(log, "--key", f"{key}.pub").exit_code == 3
    unsigned = bundle_of(log)
    assert [run(unsigned).exit_code, run(unsigned, "--key", public).exit_code] == [0, 3]
    Path(anchors_path(log)).unlink()
    anchor(log, key)
    unsigned.unlink()
    bundle = bundle_of(log)
    for words in ([log], [bundle], [bundle, "--anchors", anchors_path(log)]):
        assert run(*words, "--key", public).exit_code == 0
        assert run(*words, "--key", "0" * 64).exit_code == 1
    again = CliRunner().invoke(keygen, [str(key)])
    assert again.exit_code == 2 and "There is a file" in again.stderr
    assert "PRIVATE" in key.read_text()


def test_a_log_is_verified_while_it_is_written(log: Path) -> None:
    """Verify takes no lock: a process that writes, and anchors, goes on."""
    store = open_store(log)
    try:
        assert run(log, "--require-anchor").exit_code == 0
    finally:
        store.close()
