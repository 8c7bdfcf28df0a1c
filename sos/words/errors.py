"""Everything that can go wrong and has a name: the class is the meaning, the text is for an operator."""

from __future__ import annotations


class SOSError(Exception):
    """Something that sos expects to go wrong now and then.

    `transient` says whether the same request may succeed later, without anybody changing anything.
    """

    transient = False


class BadInput(SOSError):
    """A request that cannot be taken as it is, now or later."""


class InvalidBlobID(BadInput):
    """An ID outside ``[a-z0-9]{1,128}``."""

    def __init__(self, raw: bytes) -> None:
        super().__init__("An ID has 1 to 128 characters, each of a-z or 0-9.")
        self.raw = raw


class BadMetadata(BadInput):
    """Metadata headers that cannot be kept."""


class DigestMismatch(BadInput):
    """Bytes that are not the ones that their sender declared."""


class Unauthorized(SOSError):
    """A request without the credential that it needs, or with a wrong one."""


class Forbidden(SOSError):
    """A request that this peer may not make."""


class BlobNotFound(SOSError):
    """No blob under this ID.

    `gone` is the version of a tombstone, or of what has expired, where that is the reason; None where nothing is known.
    """

    def __init__(self, blob_id: str, gone: int | None = None) -> None:
        super().__init__(f"There is no blob {blob_id} here.")
        self.blob_id = blob_id
        self.gone = gone


class BlobConflict(SOSError):
    """Something else is held under this ID, and it stays.

    `reason` is ``older`` (what came is older than what is held) or ``other-bytes``; `version` is the version held.
    """

    OLDER = "older"
    OTHER_BYTES = "other-bytes"

    def __init__(self, blob_id: str, reason: str, version: int) -> None:
        sentence = "a newer version of it is held" if reason == self.OLDER else "it is held with other bytes"
        super().__init__(f"Blob {blob_id} was not taken: {sentence}.")
        self.blob_id = blob_id
        self.reason = reason
        self.version = version


class BlobTooLarge(SOSError):
    """More bytes than one blob or one upload may have."""


class UploadTooSlow(SOSError):
    """An upload that took so long that its first chunks could be swept before they are named."""

    transient = True


class BlobTruncated(SOSError):
    """A body that ended early: nobody is left to tell, and nothing of it is kept."""

    transient = True


class RangeNotSatisfiable(SOSError):
    """A span that begins behind the end of its blob; `size` is the blob's length in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The blob has {size} bytes; the range lies behind its end.")
        self.size = size


class Unsupported(SOSError):
    """Something that this server, or one behind it, does not know how to do."""


class OtherGroup(SOSError):
    """A store that belongs to another group than the one that it is asked to be a member of."""


class OtherIncarnation(SOSError):
    """A store that was opened anew since: what was found out about it may not be true of it any more."""


class Unavailable(SOSError):
    """Something that should be there cannot be reached now."""

    transient = True


class NotEnoughCopies(Unavailable):
    """Too few members took a write."""


class ServerUnavailable(Unavailable):
    """A blob server that does not answer, or not as a blob server does."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(f"{server} is out of reach: {why}")
        self.server = server
        self.why = why


class StoreReadOnly(Unavailable):
    """A store whose disk failed: it takes no writes until it is started again."""


class BlobDamaged(Unavailable):
    """A blob whose bytes are no longer the ones that were stored; replication brings good ones back."""

    def __init__(self, blob_id: str) -> None:
        super().__init__(f"The bytes of blob {blob_id} are damaged here; a good copy has to come from another member.")
        self.blob_id = blob_id


class StoreFull(SOSError):
    """No room, of bytes or of inodes, beyond the reserve."""

    transient = True


class StoreRefused(SOSError):
    """A data directory that must not be used as a store: the sentence says what it is and what to do."""


class BadConfig(SOSError):
    """A configuration that cannot be understood: the sentence names file, line and text."""
