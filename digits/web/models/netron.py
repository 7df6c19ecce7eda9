"""Netron, the viewer of networks, as its package carries it: in a frame that may reach nothing but these files.

Holds: the page is sandboxed (its origin is its own, so it has neither our cookies nor our pages), its version is 0.0.0 (any other
calls home), and its rule allows no address but this server's. The network comes to it in the fragment of its own address.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from flask import Blueprint, Response, abort, send_from_directory

from digits.web.http.security import csp_nonce

SUFFIXES = (".js", ".json", ".css", ".png", ".ico")
RULE = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
# A sandboxed page has no cookies, which Netron requires, and may start no worker, which lays the graph out: the page does it.
QUIET = """<script nonce="{nonce}">
Object.defineProperty(document, "cookie", {{ get: () => "consent=1", set: () => {{}} }});
window.Worker = class extends EventTarget {{
  async postMessage(message) {{
    const dagre = await import("./dagre.js");
    dagre.layout(message.nodes, message.edges, message.layout, message.state);
    this.dispatchEvent(new MessageEvent("message", {{ data: message }}));
  }}
  terminate() {{}}
}};
</script>"""
OWN_RULE = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
VERSION = re.compile(r'<meta name="version" content="[^"]*">\s*<meta name="date" content="[^"]*">')
A_DAY = 86400


def register(area: Blueprint) -> None:
    """Add `/netron/` and its files."""
    area.add_url_rule("/netron/", "netron", page)
    area.add_url_rule("/netron/<name>", "netron_file", file)


def page() -> Response:
    """Netron's page."""
    text = (folder() / "index.html").read_text(encoding="utf-8")
    nonce = csp_nonce()
    quiet = QUIET.format(nonce=nonce)
    text = VERSION.sub(lambda _: f'<meta name="version" content="0.0.0">{quiet}', OWN_RULE.sub("", text))
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = RULE.format(nonce=nonce)
    return _for_the_frame(response)


def file(name: str) -> Response:
    """One of its files."""
    if not name.endswith(SUFFIXES):
        abort(404)
    return _for_the_frame(send_from_directory(folder(), name, max_age=A_DAY))


def folder() -> Path:
    """Where the package lies; found without importing it."""
    spec = importlib.util.find_spec("netron")
    if spec is None or not spec.submodule_search_locations:
        abort(404)
    return Path(spec.submodule_search_locations[0])


def _for_the_frame(response: Response) -> Response:
    """A sandboxed page is a stranger to its own server: what it reads must be open to strangers. These files are public."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
