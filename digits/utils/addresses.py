"""What counts as one address of the network."""

from __future__ import annotations

import ipaddress


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the 64 bits that an IPv6 network gives to one place."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found.packed, 64), strict=False))
