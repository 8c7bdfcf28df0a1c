"""Whose an address is."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress


def is_loopback(address: IAddress) -> bool:
    """Whether an address is this very machine's."""
    if isinstance(address, IPv4Address):
        return address.host.startswith("127.")
    if isinstance(address, IPv6Address):
        return address.host == "::1" or address.host.startswith("::ffff:127.")
    return type(address).__name__ == "UNIXAddress"
