"""Time and chance: a clock that never goes back, ids in order, dice that a seed repeats."""

import datetime
import uuid

import pytest
from freezegun import freeze_time

from linewarden.gateway.clock import SystemClock, VirtualClock
from linewarden.gateway.dice import Dice

BEFORE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_the_clock_starts_at_the_time_of_the_world() -> None:
    """A system clock tells UTC in nanoseconds as the system has it when the clock is made."""
    with freeze_time(BEFORE):
        now = SystemClock().now()
    assert abs(now - BEFORE.timestamp() * 1e9) < 60e9


@pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
def test_setting_the_wall_clock_moves_nothing(days: int) -> None:
    """P8: whoever sets the system's clock, forwards or back, moves no instant of the service."""
    with freeze_time(BEFORE) as frozen:
        clock = SystemClock()
        first = clock.now()
        frozen.move_to(BEFORE + datetime.timedelta(days=days))
        second = clock.now()
    assert 0 <= second - first < 60e9


def test_the_clock_never_goes_back() -> None:
    """Every reading is at least the one before."""
    clock = SystemClock()
    readings = [clock.now() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_a_virtual_clock_stands_until_it_is_moved() -> None:
    """It goes where it is told to, and not back."""
    clock = VirtualClock(100)
    assert clock.now() == clock.now() == 100
    clock.advance_to(200)
    clock.advance_to(150)
    assert clock.now() == 200


def test_record_ids_are_uuids_in_order_of_time() -> None:
    """A record's id is a UUIDv7: its first 48 bits are the milliseconds, so ids sort by time."""
    dice = Dice(1)
    ids = [dice.record_id(1_700_000_000_000_000_000 + 1_000_000 * number) for number in range(50)]
    assert ids == sorted(ids)
    for number, one in enumerate(ids):
        read = uuid.UUID(bytes=one)
        assert (read.version, read.variant) == (7, uuid.RFC_4122)
        assert int.from_bytes(one[:6], "big") == 1_700_000_000_000 + number


def test_a_seed_repeats_and_the_system_does_not() -> None:
    """The same seed draws the same; without one nothing repeats."""
    seeded = [(Dice(7).token("idn_"), Dice(7).salt(), Dice(7).jitter(0.25)) for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert Dice().token("idn_") != Dice().token("idn_")


def test_jitter_is_within_its_share() -> None:
    """Jitter is in millionths of a delay, from 0 up to its share."""
    dice = Dice(1)
    drawn = [dice.jitter(0.25) for _ in range(2_000)]
    assert min(drawn) >= 0
    assert 200_000 < max(drawn) <= 250_000
    assert dice.jitter(0) == 0
