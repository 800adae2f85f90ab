"""The picture of the states, drawn from the table that decides.

It is a picture and no listing: rules between the same two states share a few words, what leads out
of all living states is drawn once, and rules that keep a state are left out. A test sees to it that
every row of the table that moves has its words here.
"""

from __future__ import annotations

from ..statemachine.lifecycle import ALIVE, ENDS, TABLE, State

_WORDS: dict[str, tuple[str, ...]] = {
    "opened": ("opened",),
    "time to dial": ("retry", "hold", "release.hold"),
    "lost": (
        "close.transient",
        "close.unknown",
        "close.own_doing",
        "close.restart",
        "service_started",
    ),
    "hold": ("close.banned", "close.outdated"),
    "silence": ("silence.close",),
    "no answer": ("connect_deadline",),
    "next code": ("pairing.retry",),
    "restart": ("restart.granted",),
    "service stops": ("service_stopped",),
    "newer claim": ("claim",),
    "gave up": (
        "close.gave_up",
        "silence.gave_up",
        "connect_deadline.gave_up",
        "pairing.gave_up",
        "service_started.gave_up",
    ),
    "not paired": ("pairing_failed",),
    "refused by the server": ("close.rejected", "close.forbidden"),
    "stopped": ("stop",),
    "taken by somebody else": ("close.replaced",),
    "logged out": ("close.logged_out",),
}
WORDS = {trigger: words for words, triggers in _WORDS.items() for trigger in triggers}
"""What the picture says of a trigger. An upgrade is the same close, so it has the same words."""

_ALIVE = "alive"


def words_of(trigger: str) -> str:
    """The words for a trigger that moves."""
    return WORDS[trigger.replace("upgrade.", "close.")]


def chart() -> str:
    """The states and what leads from one to the other, as a mermaid `stateDiagram-v2`."""
    edges = _edges()
    lines = ["stateDiagram-v2", f"    [*] --> {_ALIVE} : claimed", f"    state {_ALIVE} {{"]
    lines.append(f"        [*] --> {State.CONNECTING.value}")
    inside = {edge: words for edge, words in edges.items() if _within(edge)}
    outside = {edge: words for edge, words in edges.items() if not _within(edge)}
    lines += [f"        {_arrow(edge, words)}" for edge, words in inside.items()]
    lines.append("    }")
    lines += [f"    {_arrow(edge, words)}" for edge, words in outside.items()]
    ends = [state for state in State if state not in ALIVE]
    lines += [f"    {state.value} --> [*]" for state in ends]
    renamed = [state for state in State if state.value != state.printed]
    lines[1:1] = [f'    state "{state.printed}" as {state.value}' for state in renamed]
    return "\n".join(lines) + "\n"


def _edges() -> dict[tuple[str, str], list[str]]:
    """From source and target to the words between them, in the order of the table.

    What leads out of every living state by the same words leads out of them all together.
    """
    moves: dict[tuple[str, State], list[State]] = {}
    for row in TABLE:
        for source in row.sources:
            if row.target is not None and row.target is not source:
                # What replaces an end is a second and more severe word about the same close.
                words = words_of(row.trigger) + (" after all" if source in ENDS else "")
                sources = moves.setdefault((words, row.target), [])
                if source not in sources:
                    sources.append(source)
    edges: dict[tuple[str, str], list[str]] = {}
    for (words, target), sources in moves.items():
        together = target not in ALIVE and set(ALIVE) <= set(sources)
        names = [source.value for source in sources if not (together and source in ALIVE)]
        for name in [_ALIVE, *names] if together else names:
            edges.setdefault((name, target.value), []).append(words)
    order = [_ALIVE, *(state.value for state in State)]
    return dict(sorted(edges.items(), key=lambda edge: [order.index(name) for name in edge[0]]))


def _within(edge: tuple[str, str]) -> bool:
    living = {state.value for state in ALIVE}
    return edge[0] in living and edge[1] in living


def _arrow(edge: tuple[str, str], words: list[str]) -> str:
    return f"{edge[0]} --> {edge[1]} : {', '.join(words)}"
