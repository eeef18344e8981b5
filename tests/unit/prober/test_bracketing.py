"""Control rounds before and after a probe bracket it."""

from __future__ import annotations

from services.prober.excuses import Bracket, VantageFaults

GOOD, BLIND, UNRESOLVED = VantageFaults(), VantageFaults(blind=True), VantageFaults(unresolved=True)


def bracket(*rounds: tuple[float, bool]) -> Bracket[str]:
    made: Bracket[str] = Bracket(remembered=10.0)
    for began, passed in rounds:
        assert made.round(began, GOOD if passed else BLIND) == []
    return made


def test_35_good_rounds_on_both_sides() -> None:
    """A probe between two good rounds counts, and is released by the second."""
    held = bracket((0.0, True))
    held.hold(0.1, 0.4, "a")
    assert held.round(0.5, GOOD) == [("a", GOOD)]


def test_35_the_round_before_failed() -> None:
    """A probe that began after a failed round and before the next good one is blind."""
    held = bracket((0.0, True), (0.5, False))
    held.hold(0.6, 0.8, "a")
    assert held.round(1.0, GOOD) == [("a", BLIND)]


def test_35_the_round_after_failed() -> None:
    """A probe after a good round is blind if the next one fails."""
    held = bracket((0.0, True))
    held.hold(0.1, 0.4, "a")
    assert held.round(0.5, BLIND) == [("a", BLIND)]


def test_35_a_round_during_the_probe_failed() -> None:
    """A long probe is blind if a round within it failed, even if the rounds around it passed."""
    held = bracket((0.0, True))
    began = 0.1
    held.round(0.5, BLIND)
    held.round(1.0, GOOD)
    held.hold(began, 1.3, "a")
    assert held.round(1.5, GOOD) == [("a", BLIND)]


def test_a_probe_after_recovery_is_believed() -> None:
    """A probe that began after the first good round counts."""
    held = bracket((0.0, True), (0.5, False), (1.0, True))
    held.hold(1.0, 1.2, "a")
    assert held.round(1.5, GOOD) == [("a", GOOD)]


def test_a_round_that_began_before_the_end_does_not_release() -> None:
    """A probe waits for a round that began after it ended."""
    held = bracket((0.0, True))
    held.hold(0.1, 0.7, "a")
    assert held.round(0.5, GOOD) == []
    assert held.round(1.0, GOOD) == [("a", GOOD)]


def test_before_the_first_round_all_is_blind() -> None:
    """A probe that ended before any control round is blind."""
    held = bracket()
    held.hold(-0.5, -0.1, "a")
    assert held.round(0.0, GOOD) == [("a", VantageFaults(blind=True, unresolved=True))]


def test_names_and_control_targets_are_bracketed_apart() -> None:
    """A round in which no name resolved spoils only its own probes, and says nothing about what the vantage reached."""
    held = bracket((0.0, True))
    held.hold(0.1, 0.4, "a")
    assert held.round(0.5, UNRESOLVED) == [("a", UNRESOLVED)]
    held.hold(0.6, 0.9, "b")
    assert held.round(1.0, BLIND) == [("b", VantageFaults(blind=True, unresolved=True))]
    held.hold(1.1, 1.4, "c")
    assert held.round(1.5, GOOD) == [("c", BLIND)]


def test_a_failed_round_is_remembered_for_a_result_that_is_still_held() -> None:
    """A probe is blind by the rounds around it even if the round that releases it begins long after."""
    held: Bracket[str] = Bracket(7.0)
    held.round(99.5, GOOD)
    held.round(100.0, BLIND)
    held.hold(100.1, 101.0, "a")
    held.round(100.5, GOOD)
    held.hold(104.5, 111.0, "b")
    assert held.round(112.0, GOOD) == [("a", BLIND), ("b", GOOD)]
