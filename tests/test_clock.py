"""The clock as pure functions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.tickets import clock
from tests.samples import NOW, RULES

RUNNING = clock.new_round(NOW, RULES)


def names(minutes: float, done: frozenset[str] = frozenset()) -> list[str]:
    return [item.what for item in clock.due(RUNNING, done, NOW + timedelta(minutes=minutes))]


@pytest.mark.fault("X75")
def test_what_is_due_when() -> None:
    assert names(14.9) == []
    assert names(15) == ["target"]
    assert names(25, frozenset(("target",))) == ["status"]
    assert names(30, frozenset(("target", "status"))) == ["limit"]
    assert names(600) == ["target", "status", "limit"]
    assert names(600, frozenset(("target", "status", "limit"))) == []


def test_lateness_is_counted_from_the_promise() -> None:
    (item,) = clock.due(RUNNING, frozenset(("target", "status")), NOW + timedelta(minutes=31))
    assert item.late_s == 60


def test_what_comes_next() -> None:
    assert clock.next_at(RUNNING, frozenset()) == RUNNING.target_at
    assert clock.next_at(RUNNING, frozenset(("target",))) == RUNNING.status_at
    assert clock.next_at(RUNNING, frozenset(("target", "status", "limit"))) is None


def test_of_things_found_together_the_gravest_is_told() -> None:
    late = clock.due(RUNNING, frozenset(), NOW + timedelta(hours=1))
    assert clock.staff_mail(late) == "breach"
    assert clock.staff_mail(late[:2]) == "alert"
    assert clock.staff_mail(late[1:2]) is None
