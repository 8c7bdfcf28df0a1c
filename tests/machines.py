"""Machines by hypothesis: how long each is driven, and whether a find can be had again."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_machine(
    machine: type[RuleBasedStateMachine], examples: int, steps: int, *, is_the_same_each_time: bool = False
) -> None:
    """Run a machine so many times, so many steps each."""
    budget = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=is_the_same_each_time,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=budget)
