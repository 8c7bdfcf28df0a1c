"""The set of names that may be larger than the memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from sos.store.name_set import NameSet
from sos.words.blob import BlobID
from sos.words.interfaces import INameSet
from tests.support import immediately, success_of

NAMES = st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True).map(BlobID), max_size=30)


@given(st.lists(NAMES, max_size=4), NAMES)
def test_it_is_a_set(added: list[list[BlobID]], asked: list[BlobID]) -> None:
    """What was put in, however often, is not lacking; all else is, in the order in which it was asked for."""
    names = NameSet(immediately)
    for some in added:
        success_of(names.add(some))
    held = {name for some in added for name in some}
    assert list(success_of(names.lacking(asked))) == [name for name in asked if name not in held]
    success_of(names.close())


def test_it_is_what_the_sweep_asks_for() -> None:
    """All verbs are there."""
    names = NameSet(immediately)
    assert verifyObject(INameSet, names)
    success_of(names.close())
