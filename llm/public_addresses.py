"""Which addresses belong to the public internet, and which to somebody's own network.

Where many people share an app, one of them may give it the address of a server. The app
must then not become a way into the network that it runs in: its own machine, its
neighbours, a cloud's metadata service. A name says nothing (it may mean another address
a moment later), so what is checked here is what is connected to.

This module does not know HTTP.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import psutil

from llm.errors import ServiceUnreachableError

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out: https://www.iana.org/assignments/ipv6-address-space/. What Python
calls global holds site-local addresses too, and forms that carry an IPv4 address."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = (ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("2001::/32"))
"""What stands behind these is another address, which can be anybody's."""
_CLOUDS_OWN = (ipaddress.ip_address("168.63.129.16"),)
"""Azure's host answers every virtual machine on this one, which looks public."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses to connect to for `host`, all of them public.

    Raises `OSError` where the name has none, and `ServiceUnreachableError` where it has
    one that is not public.
    """
    return _public(host, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def async_addresses_of(host: str, port: int) -> list[str]:
    """The same, without holding up the event loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _public(host, found)


def _public(host: str, found: Iterable[tuple[Any, ...]]) -> list[str]:
    addresses = list(dict.fromkeys(entry[4][0] for entry in found))
    # One that is not public among several that are is a trick more often than a mistake.
    if not addresses or not all(map(is_public, addresses)):
        raise ServiceUnreachableError(
            "{host} is not on the public internet, and this Parley is shared: it connects to no "
            "other servers that people add. Its operator can list this one in the catalog.",
            host=host,
        )
    return addresses


def is_public(address: str) -> bool:
    """Whether an address, in the form that the resolver gives, may be anybody's to reach."""
    try:
        found = _behind(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    return (found is not None and found.is_global and not found.is_multicast
            and found not in _CLOUDS_OWN and str(found) not in _this_machine())


def _behind(address: _Address) -> _Address | None:
    """The address that is really reached: IPv6 carries IPv4 in several ways."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in tunnel for tunnel in _TUNNELS):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (address.ipv4_mapped or address.sixtofour
            or (address if address in _GLOBAL_UNICAST else None))


def _this_machine() -> set[str]:
    return {entry.address.partition("%")[0]
            for entries in psutil.net_if_addrs().values() for entry in entries}
