"""A bot by its name: loaded from the working folder, or one clear error."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linewarden.gateway.supervisor.bot import BotError, load_bot

SECRET = "under the old bridge, 15550100002"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_bot_is_loaded_from_the_working_folder(folder: Path) -> None:
    """`module:function`, in a package or an object's method too, without any setting."""
    (folder / "answers_here.py").write_text("class Bot:\n    def say(m): return m\nsay = Bot.say\n")
    (folder / "bots_here").mkdir()
    (folder / "bots_here" / "first.py").write_text("async def reply(message): ...\n")
    assert load_bot("answers_here:say")("hi") == "hi"
    assert load_bot("answers_here:Bot.say")("hi") == "hi"
    assert asyncio.iscoroutinefunction(load_bot("bots_here.first:reply"))
    assert sys.path.count(os.getcwd()) == 1


BROKEN = f"""
good = 1
raise ValueError({SECRET!r})
"""


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("answers", "not of the form module:function"),
        ("answers:", "not of the form"),
        (":reply", "not of the form"),
        ("", "not of the form"),
        ("./answers.py:reply", "not of the form"),
        (".answers:reply", "not of the form"),
        ("answers:reply()", "not of the form"),
        ("not_here:reply", "there is no module not_here"),
        ("not_here.at_all:reply", "there is no module not_here.at_all"),
        ("answers.inner:reply", "there is no module answers.inner"),
        ("answers:reply", "the module answers has no reply"),
        ("answers:good.better", "the module answers has no good.better"),
        ("answers:good", "can't be called"),
        ("broken:good", "fails as it is imported: ValueError"),
        ("exits:good", "fails as it is imported: SystemExit"),
        ("syntax:good", "fails as it is imported: SyntaxError"),
        ("lacks:good", "fails as it is imported: ModuleNotFoundError"),
    ],
)
def test_what_can_t_be_loaded_is_one_clear_error(folder: Path, where: str, words: str) -> None:
    """It says what is wrong and what to do, and quotes nothing of the bot's own words."""
    (folder / "answers.py").write_text("good = 1\n")
    (folder / "broken.py").write_text(BROKEN)
    (folder / "exits.py").write_text(f"raise SystemExit({SECRET!r})\n")
    (folder / "syntax.py").write_text(f"'{SECRET}' = 1\n")
    (folder / "lacks.py").write_text("import not_here_at_all\n")
    with pytest.raises(BotError, match=r".") as caught:
        load_bot(where)
    assert words in caught.value.message
    assert caught.value.hint
    assert "bridge" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
