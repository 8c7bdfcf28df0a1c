"""Placement: the order in which the groups are tried for an ID, with no state and no index.

Weighted rendezvous hashing: every group draws a score from the ID and its own name, and the order of the scores is the
order of the groups. A group that comes or goes moves only its own share. The score is the one of Schindelhauer and
Schomaker (2005), ``-weight / ln(u)``, which gives each group the first place in proportion to its weight.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from sos.decisions.topology import Group
from sos.words.blob import BlobID


def order(blob_id: BlobID, groups: Sequence[Group]) -> Sequence[Group]:
    """Give the groups in the order in which they are tried for an ID: the first is its home."""
    if len(groups) < 2:
        return groups
    return sorted(groups, key=lambda group: (-_score(blob_id, group), group.name))


def _score(blob_id: BlobID, group: Group) -> float:
    key = group.name.encode("utf-8") + b"\0" + blob_id.encode("ascii")
    digest = hashlib.blake2b(key, digest_size=8).digest()
    drawn = ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52  # exact, and never 0 or 1, so the logarithm is never 0
    return -group.weight / math.log(drawn)
