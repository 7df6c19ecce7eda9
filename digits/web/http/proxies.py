"""Who a request is from when proxies pass it on: by the headers of those that the setting `trusted_proxies` names, and no other.

Holds: of `X-Forwarded-For` the last address that is no trusted proxy is the sender, since everything before it is only the
sender's word; `X-Forwarded-Proto` and `X-Forwarded-Host` are those that came with it. From anybody else these headers count for
nothing.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any

from digits.config import Network

logger = logging.getLogger("digits.web")
PROXY_HOST = "digits.proxy_host"  # in the environment: the name by which the proxy addressed us
FOR, PROTO, HOST = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"


class TrustedProxies:
    """Around an application: replaces what the proxy says of itself by what it says of the sender."""

    def __init__(self, wsgi: Any, networks: Sequence[Network]) -> None:
        self.wsgi = wsgi
        self.networks = tuple(networks)
        self._warned = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if is_trusted(environ.get("REMOTE_ADDR", ""), self.networks):
            self._take(environ)
        elif FOR in environ and not self._warned:
            self._warned = True
            logger.warning(
                "%s sends X-Forwarded-For, which is not believed. If it is your proxy, add it to the setting trusted_proxies: "
                "log-ins are counted by address.",
                environ.get("REMOTE_ADDR", "Somebody"),
            )
        return self.wsgi(environ, start_response)

    def _take(self, environ: dict[str, Any]) -> None:
        hops = 0
        for text in reversed(_items(environ.get(FOR, ""))):
            address = _address(text)
            if not address:
                break  # nothing before it can be believed either
            environ["REMOTE_ADDR"] = address
            hops += 1
            if not is_trusted(address, self.networks):
                break
        if protocol := _beside(environ.get(PROTO, ""), hops).lower():
            environ["wsgi.url_scheme"] = "https" if protocol == "https" else "http"
        if host := _beside(environ.get(HOST, ""), hops):
            environ[PROXY_HOST], environ["HTTP_HOST"] = environ.get("HTTP_HOST", ""), host


def is_trusted(text: str, networks: Sequence[Network]) -> bool:
    """Whether an address is that of a proxy in one of `networks`."""
    address = _address(text)
    return bool(address) and any(ipaddress.ip_address(address) in network for network in networks)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _beside(text: str, hops: int) -> str:
    """What the proxy `hops` from here said: each adds its own at the end, or replaces all by one."""
    items = _items(text)
    return items[-min(max(hops, 1), len(items))]


def _address(text: str) -> str:
    """An address as it is compared: without a port, IPv4 inside IPv6 as IPv4; empty for what is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
