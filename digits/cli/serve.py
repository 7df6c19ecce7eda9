"""`digits serve`: the supervisor in this process, with the web server and the plugin host beside it."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click
from sqlalchemy.exc import DatabaseError

from digits.cli.options import jobs_dir_option, load_settings
from digits.config import Settings, unknown_variables
from digits.errors import ConfigError
from digits.storage.folders import JobsDir
from digits.storage.modes import limit_process
from digits.supervisor import ServiceSpec, logs, process_limit, run
from digits.utils.memory_use import MIB

SOCKET_TIMEOUT = 0.2
ALLOCATED_MB = 2048  # that libraries allocate and never use: what is asked for at once beyond the limit and this fails at once
# "Bad ports" of https://fetch.spec.whatwg.org/#port-blocking, as far as a server that is not root may have them
REFUSED_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
)


@click.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one. [default: 5000]")
@jobs_dir_option
@click.option("--url-prefix", help="Path under which a proxy serves digits.")
@click.option("--no-auth", is_flag=True, help="Require no log-in; only on a loopback address.")
@click.option("-d", "--debug", is_flag=True, help="Show traces in error answers.")
@click.option("--stop-jobs", is_flag=True, help="Stop the jobs too when the server ends; they go on at its next start.")
def serve(stop_jobs: bool, **options: Any) -> None:
    """Start the server and print the address that opens the first session."""
    start(settings_from(**options), stop_jobs=stop_jobs)


def settings_from(no_auth: bool = False, debug: bool = False, **overrides: Any) -> Settings:
    """Settings with the options of a command that serves."""
    flags = {"auth": False if no_auth else None, "debug": True if debug else None}
    return load_settings(**overrides, **flags).settings


def start(settings: Settings, *, stop_jobs: bool = False, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until requested to stop. `on_ready` gets the address once pages are served; by default it is printed."""
    limit_process(settings.folder_mode)
    for remark in unknown_variables(os.environ):
        click.echo(remark, err=True)
    settings = replace(settings, port=free_port(settings))
    if settings.port in REFUSED_PORTS:
        click.echo(f"Browsers refuse to open port {settings.port}, which belongs to another service. Choose another.", err=True)
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    jobs_dir.prepare()
    logs.configure(settings, jobs_dir)  # whoever opens the database first may find it empty, and says so
    address = prepare(settings)
    report = on_ready or _print_address

    def ready() -> None:
        report(address)

    run(settings, children(settings), address=plain_address(settings), stop_jobs=stop_jobs, on_ready=ready)


def children(settings: Settings) -> list[ServiceSpec]:
    """The processes that live with the server."""
    from digits.web.process import web_command, web_environment

    environment = web_environment(settings, os.environ)
    web = ServiceSpec("web server", web_command(), environment, ready=lambda: answers(settings), essential=True)
    return [web, plugin_host(settings, environment)]


def plugin_host(settings: Settings, environment: Mapping[str, str]) -> ServiceSpec:
    """The process that runs the page code of plugins."""
    socket = "{runtime}/plugins.sock"
    command = [sys.executable, "-P", "-m", "digits.plugin_host", "--socket", socket, "--jobs-dir", str(settings.jobs_path)]
    memory = process_limit(settings).size // MIB + ALLOCATED_MB
    return ServiceSpec("plugin host", [*command, "--memory-mb", str(memory)], environment, socket=socket)


def prepare(settings: Settings) -> str:
    """Check that the address may be used and make the token of the first session; the address to open. Raises StorageError where
    the database is damaged."""
    from digits.service import Service, accounts

    service = Service.open(settings)
    try:
        accounts.check_address(service)
        if not settings.auth or accounts.any_users(service):
            return plain_address(settings)
        return f"{plain_address(settings)}/?token={accounts.new_first_token(service)}"
    except DatabaseError:
        service.store.check()
        raise
    finally:
        service.close()


def plain_address(settings: Settings) -> str:
    """`http://host:port/prefix`; an address that means "all" is shown as this machine's name."""
    host = socket.gethostname() if settings.host in ("0.0.0.0", "::") else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}{settings.url_prefix}"


def free_port(settings: Settings) -> int:
    """The port to use, tried out before anything is started. Raises ConfigError when it is taken or not allowed."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except socket.gaierror as error:
            raise ConfigError(
                f"There is no address {settings.host}: {error.strerror}.",
                advice="The setting host is an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has.",
            ) from error
        except OSError as error:
            raise ConfigError(
                f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}.",
                advice="Another server may be running there; choose another port with --port, or 0 for any free one.",
            ) from error
        return int(probe.getsockname()[1])


def answers(settings: Settings) -> bool:
    """Whether pages are served."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=SOCKET_TIMEOUT)
    try:
        connection.request("GET", f"{settings.url_prefix}/health", headers={"Host": f"localhost:{settings.port}"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _print_address(address: str) -> None:
    click.echo(f"\n  digits is ready: {click.style(address, fg='green', bold=True)}\n\n  Ctrl-C ends the server; jobs go on.\n")
