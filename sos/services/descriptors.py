"""Descriptors: how many connections a port may have, so that files can still be opened and other servers be reached.

Without descriptors the kernel's queue is emptied by closing what comes (Twisted keeps one descriptor for that, and does not
spin), but nothing else works either: no blob in a file, no member, and each connection is three lines in a daemon's log. So
the port says 503 while there is room left.
"""

from __future__ import annotations

import resource

OWN = 32
"""What a process has open by itself: database, log, ports, the reactor's own. 16 were counted in a blob server."""

SHARES = 6
"""Descriptors for each connection that is served: an api has two ports, at each as many connections again may be there only
to be turned away, and each that is served may need a file or a connection to a member."""


def connections_within(descriptors: int, most: int) -> int:
    """Say how many connections a port may serve in a process with so many descriptors, `most` at most."""
    return max(1, min(most, (descriptors - OWN) // SHARES))


def limit_raised_for(connections: int) -> int:
    """Raise this process's limit as far as it may and has to be for so many connections a port, and give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OWN + SHARES * connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return wanted if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
