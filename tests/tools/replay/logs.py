"""Logs made by hand: stimuli as a service would have recorded them, with any lateness."""

from typing import Any

from linewarden.eventstore import NewRecord
from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.chained import chained
from linewarden.gateway.dice import Dice
from linewarden.gateway.recording import write
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.account import Account
from linewarden.statemachine.decision import decide
from linewarden.statemachine.machine import Lookup, step
from linewarden.tools.replay.reading import stimuli_of
from linewarden.tools.replay.replay import Step, run

LOG = bytes(range(16))
T0 = 1_700_000_000_000_000_000
S = 1_000_000_000
MS = 1_000_000


def at(seconds: float) -> int:
    """The instant (UTC ns) so many seconds after the beginning."""
    return T0 + round(seconds * 1000) * MS


def claimed(**policy: Any) -> st.Claimed:
    return st.Claimed(at=T0, controller="A", holder="host", policy={"jitter": 0, **policy})


def opened(seconds: float) -> st.Opened:
    return st.Opened(at=at(seconds), controller="A", source="whatsmeow")


def closed(seconds: float, code: int = 428) -> st.Closed:
    return st.Closed(at=at(seconds), controller="A", source="baileys", code=code)


def fired(seconds: float, timer: st.TimerName) -> st.TimerFired:
    return st.TimerFired(at=at(seconds), controller="A", source="timer", timer=timer)


def incident_of(*stimuli: st.Stimulus, step: Lookup = step) -> Bundle:
    """The incident of these stimuli, decided as today's code does or as `step` reads the table."""
    account = Account()
    news: list[NewRecord] = []
    for stimulus in stimuli:
        outcome, account = decide(account, stimulus, step)
        news.append(write(Dice(len(news)), stimulus, outcome, account, None, {}))
    return bundle_of(news)


def bundle_of(news: list[NewRecord]) -> Bundle:
    """A bundle of records as a store would have chained them, from the beginning of an account."""
    return chained(news, LOG, "main")


def steps_of(bundle: Bundle) -> list[Step]:
    """What this code decides of an incident, open loop."""
    return list(run(stimuli_of(bundle), bundle.before))
