"""Medians, ratios, goals, and how numbers are written."""

from __future__ import annotations

import pytest

from benchmarks.bench import in_turn
from benchmarks.figures import Goal, Measured, Spread, shown


def test_a_ratio_is_taken_of_each_pair() -> None:
    """A machine that was slow for a while was slow for both: the ratio of medians would say 0.55 here."""
    measured = Measured(sos=(10.0, 55.0, 60.0), reference=(20.0, 100.0, 120.0))
    assert measured.ratio == Spread(median=0.5, least=0.5, most=0.55)


def test_without_a_reference_there_is_no_ratio() -> None:
    """A figure of its own is no ratio of one."""
    assert Measured(sos=(1.0, 2.0)).ratio is None


def test_pairs_that_do_not_match_are_refused() -> None:
    """A ratio to a value that was measured at another time would be made up."""
    with pytest.raises(ValueError, match="zip"):
        _ = Measured(sos=(1.0, 2.0), reference=(1.0,)).ratio


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle() -> None:
    """Neither of them is better than the other."""
    assert Spread.of([4.0, 1.0, 2.0, 3.0]) == Spread(median=2.5, least=1.0, most=4.0)


def test_two_things_are_measured_alternately() -> None:
    """A B A B, and not A A B B."""
    order: list[str] = []

    def measuring(name: str, value: float) -> float:
        order.append(name)
        return value

    assert in_turn(2, lambda: measuring("A", 1.0), lambda: measuring("B", 2.0)) == ((1.0, 1.0), (2.0, 2.0))
    assert order == ["A", "B", "A", "B"]


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.27, "missed"), (0.28, "met"), (0.31, "met"), (0.32, "beyond"), (1.0, "beyond")]
)
def test_a_ratio_is_judged_by_its_median(value: float, verdict: str) -> None:
    """The goal itself is met, and so is its stretch."""
    measured = Measured(sos=(0.0, value, 9.0), reference=(1.0, 1.0, 1.0))
    assert Goal(0.28, 0.32).verdict(measured) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.27, "missed"), (0.28, "disturbed"), (0.33, "disturbed")])
def test_a_ratio_that_flatters_meets_nothing(value: float, verdict: str) -> None:
    """A reference that was held up makes sos look good; what is missed even so is missed."""
    measured = Measured(sos=(value,), reference=(1.0,), is_disturbed=True)
    assert Goal(0.28, 0.32).verdict(measured) == verdict


@pytest.mark.parametrize(
    ("share", "is_noted", "is_disturbed"), [(0.02, False, False), (0.07, True, False), (0.2, True, True)]
)
def test_company_is_noted_and_disturbs(share: float, is_noted: bool, is_disturbed: bool) -> None:
    """A little is always there; more is said; much takes a goal's success away."""
    measured = Measured((1.0,), (1.0,), ("first",)).in_company(share)
    assert measured.notes[0] == "first"
    assert (len(measured.notes) == 2, measured.is_disturbed) == (is_noted, is_disturbed)


@pytest.mark.parametrize(("value", "verdict"), [(63.9, "met"), (64.0, "met"), (64.1, "missed")])
def test_a_goal_may_be_an_upper_limit_of_the_figure(value: float, verdict: str) -> None:
    """Of memory there should be little, whatever others take."""
    assert Goal(64, at_most=True, of_ratio=False).verdict(Measured(sos=(value,))) == verdict


def test_a_goal_says_which_way_is_good() -> None:
    """The table shows it beside the verdict."""
    assert str(Goal(0.28, 0.32)) == ">= 0.28 (0.32)"
    assert str(Goal(64, at_most=True, of_ratio=False)) == "<= 64.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (31_234, "31,200"),
        (999.6, "1,000"),
        (1000, "1,000"),
        (1234567, "1,230,000"),
        (123.4, "123"),
        (99.96, "100"),
        (12.34, "12.3"),
        (9.996, "10.0"),
        (1.234, "1.23"),
        (0.1, "0.10"),
        (0.0654, "0.065"),
        (0.0, "0.000"),
    ],
)
def test_three_digits_are_shown(value: float, text: str) -> None:
    """More of them would claim what nobody measured."""
    assert shown(value) == text
