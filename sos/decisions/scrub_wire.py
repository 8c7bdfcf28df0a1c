"""The JSON of the scrub: where it stands, in ``/status``, and the number of a pass that was asked for.

What comes from a peer is not trusted: every field is checked, and what is wrong is `BadInput`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, fields

from sos.decisions import wire
from sos.words.errors import BadInput
from sos.words.interfaces import Findings, ScrubStanding

_LARGEST = (1 << 63) - 1
_KINDS = tuple(field.name for field in fields(Findings))


def standing_shape(standing: ScrubStanding) -> dict[str, Any]:
    """Write where a scrub stands."""
    return asdict(standing)


def standing_of(shape: Any) -> ScrubStanding:
    """Read where a scrub stands. Raises `BadInput`."""
    known = _object(shape)
    share = _amount(known, "share")
    if share is not None and share > 1:
        raise BadInput("A share of a pass is at most 1.")
    return ScrubStanding(
        passes=_number(known, "passes"),
        age=_amount(known, "age"),
        found=_findings(known, "found"),
        share=share,
        checked=_number(known, "checked"),
        found_so_far=_findings(known, "found_so_far"),
    )


def pass_json(number: int) -> bytes:
    """Write the number of a pass."""
    return wire.json_bytes({"pass": number})


def pass_of(payload: bytes) -> int:
    """Read the number of a pass. Raises `BadInput`."""
    return _number(wire.json_object(payload), "pass")


def _findings(shape: Mapping[str, Any], name: str) -> Findings:
    found = _object(shape.get(name))
    return Findings(**{kind: _number(found, kind) for kind in _KINDS})


def _object(shape: Any) -> Mapping[str, Any]:
    if not isinstance(shape, dict):
        raise BadInput("There is no scrub that can be read.")
    return shape


def _number(shape: Mapping[str, Any], name: str) -> int:
    value = shape.get(name)
    if type(value) is not int or not 0 <= value <= _LARGEST:  # a bool is an int to isinstance
        raise BadInput(f"The scrub has no {name} that is a number.")
    return value


def _amount(shape: Mapping[str, Any], name: str) -> float | None:
    value = shape.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= _LARGEST:
        raise BadInput(f"The scrub has no {name} that can be read.")
    return float(value)
