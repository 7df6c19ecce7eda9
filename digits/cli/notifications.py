"""`digits notifications`: what a user is notified of and where, a test, the log."""

from __future__ import annotations

from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, open_service
from digits.domain.notifications import EVENTS, SCOPES
from digits.errors import BadRequest
from digits.service import accounts
from digits.service import notifications as service_of
from digits.utils.values import counted

user_option = click.option("--user", default="", help="Of this account. [default: the user of the system]")


@click.group("notifications")
def notifications() -> None:
    """Say by e-mail, webhook or browser that jobs are done, failed, the best or stalled."""


@notifications.command("show")
@user_option
@jobs_dir_option
def show(user: str, jobs_dir: str | None) -> None:
    """Print what the user is notified of, and the newest notifications, as JSON."""
    with open_service(jobs_dir) as service:
        who = user or accounts.default_user()
        print_json({"choices": service_of.choices_of(service, who).masked(), "log": service_of.log(service, who)})


@notifications.command("set")
@click.option("--events", metavar="EVENT,EVENT", help=f"Of {', '.join(EVENTS)}; blank: none.")
@click.option("--scope", type=click.Choice(list(SCOPES)), help="Own jobs, or all.")
@click.option("--email", help="An address; blank: none. So the others.")
@click.option("--webhook", hide_input=True, help="An address that gets JSON.")
@click.option("--slack", hide_input=True, help="An incoming webhook of Slack, or of what takes the same.")
@click.option("--ntfy", hide_input=True, help="The address of an ntfy topic.")
@click.option("--ntfy-token", hide_input=True, help="Its access token.")
@click.option("--browser/--no-browser", default=None, help="Whether the browser shows them.")
@user_option
@jobs_dir_option
def set_choices(user: str, jobs_dir: str | None, events: str | None, **given: Any) -> None:
    """Choose what to be notified of, and where."""
    changes = {name: value for name, value in given.items() if value is not None}
    if events is not None:
        changes["events"] = tuple(event.strip() for event in events.split(",") if event.strip())
    if not changes:
        raise BadRequest("Nothing to change was given.", advice="`digits notifications set --help` lists what there is.")
    with open_service(jobs_dir) as service:
        print_json(service_of.save(service, user or accounts.default_user(), changes).masked())


@notifications.command("test")
@user_option
@jobs_dir_option
def test(user: str, jobs_dir: str | None) -> None:
    """Send a message to every channel of the user; a running server delivers it."""
    with open_service(jobs_dir) as service:
        sent = service_of.test(service, user or accounts.default_user())
        click.echo(f"A message is on its way to {counted(sent, 'channel')}.")
