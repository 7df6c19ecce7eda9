"""The Flask application, put together in one function; importing this module does nothing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from flask import Flask
from flask_bootstrap import Bootstrap5

import digits
from digits.service import Service
from digits.service.serving import Serving
from digits.web.http import assets, formatting, icons, security
from digits.web.http import errors as answers
from digits.web.http.arguments import WholeNumber
from digits.web.http.limits import LimitedRequest
from digits.web.http.proxies import TrustedProxies
from digits.web.http.request import JSON_ENDING, JSON_FOLDER, FiniteJson

AREAS = (
    "jobs.home",
    "jobs.jobs",
    "jobs.trash",
    "http.login",
    "http.sessions",
    "files",
    "jobs.streams",
    "system",
    "metrics",
    "notifications",
    "datasets.pages",
    "models.pages",
    "models.pretrained",
    "models.stores",
    "evaluations.area",
    "serving.area",
    "plugins.pages",
    "documentation",
    "models.tensorboard",
    "http.openapi",
)


def create_app(service: Service) -> Flask:
    """The application over `service`: areas, error answers, security rules, template helpers."""
    app = Flask("digits.web")
    app.extensions["digits"] = service
    app.extensions["digits-serving"] = Serving.open(service)
    app.config.update(BOOTSTRAP_SERVE_LOCAL=True, WTF_CSRF_ENABLED=False, TEMPLATES_AUTO_RELOAD=service.settings.debug)
    app.json = FiniteJson(app)
    app.request_class = LimitedRequest
    app.url_map.converters["int"] = WholeNumber
    Bootstrap5(app)
    security.register(app, service)
    answers.register(app)
    formatting.register(app)
    icons.register(app)
    assets.register(app)
    _register_areas(app)
    _add_json_folders(app)
    _add_globals(app, service)
    app.wsgi_app = TrustedProxies(app.wsgi_app, service.settings.proxy_networks())  # type: ignore[method-assign]
    if service.settings.url_prefix:
        app.wsgi_app = UrlPrefix(app.wsgi_app, service.settings.url_prefix)  # type: ignore[method-assign]
    return app


class UrlPrefix:
    """Serves the application below a path, whether the proxy in front strips that path or not. Holds: every redirect to this
    server leads below that path too, whoever built its address (a script that sends `next=/models/…` means ours)."""

    def __init__(self, wsgi: Any, prefix: str) -> None:
        self.wsgi = wsgi
        self.prefix = prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["SCRIPT_NAME"] = self.prefix
        path = environ.get("PATH_INFO", "")
        if path == self.prefix or path.startswith(f"{self.prefix}/"):
            environ["PATH_INFO"] = path[len(self.prefix) :] or "/"

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [(name, self._below(name, value)) for name, value in headers], *rest)

        return self.wsgi(environ, start)

    def _below(self, name: str, value: str) -> str:
        if name.lower() != "location" or not value.startswith("/") or value.startswith("//"):
            return value
        inside = value == self.prefix or value.startswith((f"{self.prefix}/", f"{self.prefix}?", f"{self.prefix}#"))
        return value if inside else f"{self.prefix}{value}"


def _register_areas(app: Flask) -> None:
    for area in AREAS:
        app.register_blueprint(importlib.import_module(f"digits.web.{area}").blueprint())


def _add_json_folders(app: Flask) -> None:
    """`…/json` beside each `….json`: scripts of one release of the original end an address so, those of the others so."""
    for rule in list(app.url_map.iter_rules()):
        if rule.rule.endswith(JSON_ENDING):
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            app.add_url_rule(rule.rule.removesuffix(JSON_ENDING) + JSON_FOLDER, rule.endpoint, methods=sorted(methods))


def _add_globals(app: Flask, service: Service) -> None:
    app.jinja_env.globals.update(
        server_name=service.settings.name,
        server_version=digits.__version__,
        settings=service.settings,
        has_endpoint=lambda name: name in app.view_functions,
        icon_base=icons.icon_base,
    )
