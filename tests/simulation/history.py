"""The history checker: whether what clients saw can have happened in a store that keeps its promises.

The content under an ID is fixed, so an object is a register of two states, live and deleted, and the newest version wins: an
operation that had returned before another was called is older than that. What a client did not hear the end of may have
happened or not, then or later. Anything that no order of events explains is a violation. The models are the register tests
of Jepsen, set-full, and Ceph's RadosModel; the rules are those of the invariants I1, I2, I5, I6 and I9.
"""

from __future__ import annotations

import enum
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen


class Verb(enum.Enum):
    """What a client asked for."""

    UPLOAD = "upload"
    DELETE = "delete"
    FETCH = "fetch"


class Outcome(enum.Enum):
    """What a client knows of an operation."""

    DONE = "done"
    """Acknowledged: an upload by 200, a delete by 204; a fetch that gave the object."""
    PARTLY = "partly"
    """A delete by 202: some members have still to hear of it."""
    ABSENT = "absent"
    """404: there is no such object."""
    REFUSED = "refused"
    """An answer that says that nothing was done, and that nothing is known."""
    UNKNOWN = "unknown"
    """No answer, or one that says that it may be either."""


@frozen(kw_only=True)
class Operation:
    """One operation of one client, on one monotonic clock. `returned` is infinite where no answer came."""

    verb: Verb
    object: str
    called: float
    returned: float = math.inf
    outcome: Outcome = Outcome.UNKNOWN
    is_right: bool = True
    """Whether what a fetch gave were the bytes, the length and the metadata of an upload."""
    is_final: bool = False
    """Whether it was asked after all faults had ended and two rounds had run."""
    client: str = ""

    def is_before(self, other: Operation) -> bool:
        """Whether it had returned before the other was called."""
        return self.returned <= other.called


@frozen
class Violation:
    """Something that cannot have happened."""

    rule: str
    operation: Operation
    why: str


def violations_of(history: Iterable[Operation]) -> Iterator[Violation]:
    """Find what cannot have happened, object by object."""
    objects: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        objects[operation.object].append(operation)
    for operations in objects.values():
        yield from _Register(operations).violations()


class _Register:
    """What was done to one object."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._uploads = [op for op in operations if op.verb is Verb.UPLOAD and op.outcome is not Outcome.REFUSED]
        self._deletes = [
            op for op in operations if op.verb is Verb.DELETE and op.outcome not in (Outcome.REFUSED, Outcome.ABSENT)
        ]
        self._operations = operations

    def violations(self) -> Iterator[Violation]:
        for operation in self._operations:
            if operation.verb is Verb.FETCH and operation.outcome is Outcome.DONE:
                yield from self._check_seen(operation)
            elif operation.verb is not Verb.UPLOAD and operation.outcome is Outcome.ABSENT:
                yield from self._check_absent(operation)
            elif operation.verb is Verb.FETCH and operation.is_final:
                yield from self._check_silence(operation)

    def _check_seen(self, fetch: Operation) -> Iterator[Violation]:
        """An object that was seen was uploaded, and not surely deleted since."""
        if not fetch.is_right:
            yield Violation("I2", fetch, "it gave other bytes or headers than were uploaded")
        sources = [upload for upload in self._uploads if upload.called < fetch.returned]
        if not sources:
            yield Violation("I2", fetch, "it gave what nobody had uploaded")
        elif all(self._is_surely_deleted(upload, fetch) for upload in sources):
            yield Violation("I5", fetch, "it gave what had been deleted, and not been uploaded since")

    def _is_surely_deleted(self, upload: Operation, fetch: Operation) -> bool:
        """Whether a delete that was acknowledged lies between an upload that had ended and a fetch.

        202 promises as much once the absent members were in a round.
        """
        if upload.outcome is not Outcome.DONE:
            return False
        counts = {Outcome.DONE, Outcome.PARTLY} if fetch.is_final else {Outcome.DONE}
        return any(
            delete.outcome in counts and upload.is_before(delete) and delete.is_before(fetch) for delete in self._deletes
        )

    def _check_absent(self, asked: Operation) -> Iterator[Violation]:
        """A 404 is true: nothing that was acknowledged, or seen of what was, is gone without a delete."""
        for upload in self._uploads:
            if upload.outcome is Outcome.DONE and upload.is_before(asked) and not self._may_be_deleted(upload, asked):
                yield Violation("I6", asked, f"404, and yet the upload that returned at {upload.returned:g} stands")
                return

    def _may_be_deleted(self, upload: Operation, asked: Operation) -> bool:
        """Whether a delete may be newer than an upload, and have happened before somebody asked.

        Of several uploads the last that ended counts; each is judged by itself, for any that stands is enough.
        """
        return any(
            delete is not asked and delete.called < asked.returned and not delete.is_before(upload)
            for delete in self._deletes
        )

    def _check_silence(self, fetch: Operation) -> Iterator[Violation]:
        """When all faults have ended, there is an answer."""
        if fetch.outcome in (Outcome.UNKNOWN, Outcome.REFUSED):
            yield Violation("I19", fetch, "no answer, although everything is well again")
