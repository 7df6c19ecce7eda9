"""The rule for pages with a plugin's HTML (docs/security.md): inline handlers run, other inline code needs the nonce."""

from __future__ import annotations

from flask import after_this_request
from werkzeug.wrappers import Response

from digits.web.http.security import CSP, csp_nonce


def allow_plugin_code() -> None:
    """Apply the rule to the page that is being answered."""

    @after_this_request
    def add(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CSP.format(nonce=csp_nonce()) + "; script-src-attr 'unsafe-inline'"
        return response
