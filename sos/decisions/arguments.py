"""Arguments: how a command line with one dash before its long options reads with two.

The ancestor's options have one dash (``-store data1``), everybody else's have two; both work. `getopt` would take
``-store`` for five short options, so the arguments are put into its form first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice


def with_two_dashes(arguments: Sequence[str], long_options: Sequence[str], short_options: str) -> list[str]:
    """Give the arguments with two dashes before each long option; both kinds of options are written as `getopt` wants them.

    Values stay as they are, even one that looks like an option, and so does all from the first argument that is no option.
    """
    translated: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-", "--") or not argument.startswith("-"):
            return [*translated, argument, *rest]
        option = _two_dashed(argument, long_options)
        translated.append(option)
        if _takes_the_next(option, long_options, short_options):
            translated.extend(islice(rest, 1))
    return translated


def with_options_first(arguments: Sequence[str], long_options: Sequence[str], short_options: str) -> list[str]:
    """Give the options, each with its value, and then ``--`` and all else: `getopt` reads no option behind an argument.

    A ``-`` is an argument (it stands for the standard input or output), and so is everything behind a ``--``.
    """
    options: list[str] = []
    others: list[str] = []
    rest = deque(arguments)
    while rest:
        argument = rest.popleft()
        if argument == "--":
            others.extend(rest)
            break
        if argument == "-" or not argument.startswith("-"):
            others.append(argument)
            continue
        options.append(_two_dashed(argument, long_options))
        if _takes_the_next(options[-1], long_options, short_options):
            if not rest:
                return options  # without its value, and without a -- that would be taken for it
            options.append(rest.popleft())
    return [*options, "--", *others]


def _two_dashed(argument: str, long_options: Sequence[str]) -> str:
    """Add a dash to a long option that has one. Only its full name counts, so a cluster of short options stays one."""
    name = argument[1:].partition("=")[0]
    is_long = len(name) > 1 and (name in long_options or f"{name}=" in long_options)
    return f"-{argument}" if is_long else argument


def _takes_the_next(option: str, long_options: Sequence[str], short_options: str) -> bool:
    """Say whether `getopt` takes the next argument for the value of this option."""
    if not option.startswith("--"):
        return _cluster_takes_the_next(option[1:], short_options)
    name = option[2:]
    if name in long_options:
        return False
    candidates = [known for known in long_options if known.startswith(name)]
    if f"{name}=" in candidates:
        return True
    return len(candidates) == 1 and candidates[0].endswith("=")  # getopt knows an option by any beginning that only it has


def _cluster_takes_the_next(letters: str, short_options: str) -> bool:
    """A short option takes the rest of its cluster for its value, and the next argument where there is no rest."""
    for place, letter in enumerate(letters):
        if f"{letter}:" in short_options:
            return place == len(letters) - 1
    return False
