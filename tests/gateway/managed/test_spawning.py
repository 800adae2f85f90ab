"""A stop that comes while a worker is being spawned."""

import asyncio
from typing import Any

import pytest

from linewarden.gateway.warden import Linewarden

from .conftest import QUICK, Stage
from .strings import fails, wait_until


def test_a_stop_while_a_worker_is_renewed_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the caller's loop, which goes on after the end, the worker that was just spawned ends."""
    spawn, workers = asyncio.create_subprocess_exec, []
    strings = stage.string()
    strings.at_connect = [fails("connection refused")]

    async def run() -> None:
        second = asyncio.Event()

        async def noted(*command: Any, **how: Any) -> Any:
            workers.append(await spawn(*command, **how))
            if len(workers) == 2:
                second.set()
            return workers[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        async with Linewarden.open(stage.path, policy=QUICK) as warden:
            warden.manage("main", str(stage.session()), worker=strings.command)
            await asyncio.wait_for(second.wait(), 30)
        assert len(asyncio.all_tasks()) == 1
        await asyncio.to_thread(wait_until, lambda: workers[1].returncode is not None, 3)

    asyncio.run(run())
