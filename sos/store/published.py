"""Published files: the bytes of a larger blob are durable under their own name, and now a row has to name them."""

from __future__ import annotations

import contextlib

from twisted.logger import Logger
from twisted.python.failure import Failure

from sos.store.commits import Commits
from sos.store.index import Outcome, Write
from sos.store.staging import Workshop
from sos.words.errors import SOSError, StoreFull


class Published:
    """Commits what names a published file; where no row comes to name it, the file goes."""

    _log = Logger()

    def __init__(self, commits: Commits, workshop: Workshop) -> None:
        """Commit by `commits` what was published in the tree of a workshop."""
        self._commits = commits
        self._workshop = workshop

    async def commit(self, write: Write) -> Outcome:
        """Let the merge rule decide what a write does, durably. Raises `SOSError` where it did nothing."""
        try:
            return await self._commits.submit(lambda index: index.apply(write))
        except StoreFull:
            await self._unlinked(write)
            raise
        except SOSError:
            self._abandon(write)
            raise

    async def _unlinked(self, write: Write) -> None:
        """Unlink a published file at once: for want of room no row was committed, nor can the note of what to unlink be."""
        if write.file is not None:
            with contextlib.suppress(OSError):
                await self._workshop.in_thread(self._workshop.tree.remove, write.entry.id, write.file)

    def _abandon(self, write: Write) -> None:
        """Have a published file unlinked that no row will name.

        Not after a failed fsync: then the row may be there at the next start, and must find its file. So both stay.
        """
        file = write.file
        if file is not None and not self._workshop.latch.is_read_only:
            dropping = self._commits.submit(lambda index: index.drop_file(write.entry.id, file))
            dropping.addErrback(_expect_sos_error).addErrback(self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("A file that no row names could not be dropped, in a way that nobody foresaw", failure=failure)


def _expect_sos_error(failure: Failure) -> None:
    failure.trap(SOSError)
