"""Two accounts at once: what happens to the worker of one is nothing to the other."""

import asyncio
import signal
from typing import Any

from linewarden.gateway.warden import Linewarden

from .conftest import Stage
from .strings import NUMBER, WAIT_S, connected, device, fails, message, wait_until

OTHER, OTHER_LID = "15550100003", "100000000000003"


def test_a_dying_worker_does_not_disturb_another_account(stage: Stage) -> None:
    """While one account's workers die one after another, the other answers all the time."""
    heard: list[Any] = []

    def echo(given: Any) -> str:
        heard.append(given)
        return str(given.text)

    stage.string("calm").at_connect = [device(OTHER, OTHER_LID), connected()]
    stage.open()
    stage.manage("wild")
    line = stage.manage("calm", on_message=echo)
    wild, calm = stage.live("wild"), stage.live("calm")
    for number in range(3):
        if number:
            wild.kill()
        else:
            wild.do("abort")
        calm.play(message(f"are you there {number}", id=f"3EB0{number}"))
        wait_until(lambda number=number: len(stage.string("calm").written) == number + 1)
        wild = stage.live("wild", number + 1)
    assert [text for _, text in stage.string("calm").written] == [
        f"are you there {number}" for number in range(3)
    ]
    assert line.worker_pid == calm.pid
    assert len(stage.string("calm").puppets) == len(stage.told("calm", "opened")) == 1
    assert not stage.told("calm", "worker_died")
    assert len(stage.told("wild", "worker_died")) == 3
    assert {given.account for given in heard} == {"calm"}


def test_a_worker_that_does_not_end_holds_up_its_own_account_only(stage: Stage) -> None:
    """While one account waits for a frozen worker to be killed, the other is restarted."""
    stage.open()
    stage.manage("frozen")
    stage.manage("quick")
    frozen = stage.live("frozen")
    stage.live("quick")
    frozen.kill(signal.SIGSTOP)
    for name in ("frozen", "quick"):
        stage.observe("restart_requested", name, by="operator", source="operator")
    stage.live("quick", 1)
    assert not frozen.gone.is_set()
    assert stage.live("frozen", 1).beside == []


def test_frozen_workers_do_not_add_up(stage: Stage) -> None:
    """A stop takes no longer for many accounts than for one, even if none of them answers."""
    names = [f"line-{number}" for number in range(4)]
    stage.open(initial_s=20, max_s=20)
    for name in names:
        stage.string(name).at_connect = [fails("connection refused")]
        stage.manage(name)
    for name in names:
        stage.wait_state("reconnect_gap", name)
        stage.string(name).puppet().kill(signal.SIGSTOP)
    stage.end()
    assert not [puppet for name in names for puppet in stage.string(name).alive]


def test_accounts_may_be_given_before_the_start(stage: Stage) -> None:
    """On the caller's own loop, too, with everything managed before the service begins."""
    warden = Linewarden.open(stage.path)
    for name in ("main", "other"):
        warden.manage(name, str(stage.session(name)), worker=stage.string(name).command)

    async def run() -> list[str]:
        async with warden:
            replies = [
                warden.router.reply(name, f"{OTHER}@s.whatsapp.net", f"from {name}")
                for name in ("main", "other")
            ]
            return [(await reply).outcome for reply in replies]

    assert asyncio.run(asyncio.wait_for(run(), WAIT_S)) == ["sent", "sent"]
    assert [text for _, text in stage.string("other").written] == ["from other"]


def test_each_account_has_its_own_identity(stage: Stage) -> None:
    """Replies of two accounts to one chat each leave through their own worker."""
    stage.string("other").at_connect = [device(OTHER, OTHER_LID), connected()]
    stage.open()
    for name in ("main", "other"):
        stage.manage(name)
        stage.live(name)
    replies = [stage.reply(f"from {name}", name) for name in ("main", "other")]
    assert [reply.result(WAIT_S).outcome for reply in replies] == ["sent", "sent"]
    assert [text for _, text in stage.string("main").written] == ["from main"]
    assert [text for _, text in stage.string("other").written] == ["from other"]
    assert NUMBER not in str(stage.told("other"))
