"""`digits user` and `digits token`: who may log in, where somebody is, and with what a script may come in."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.domain.access import MEANINGS, Scope


@click.group()
def user() -> None:
    """Add, list and remove accounts, end their sessions."""


@user.command("add")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@jobs_dir_option
def add_user(name: str, password: str, jobs_dir: str | None) -> None:
    """Make the account NAME."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.add_user(service, name, password)
    click.echo(f"{name} may log in now.")


@user.command("list")
@json_option
@jobs_dir_option
def list_users(as_json: bool, jobs_dir: str | None) -> None:
    """Print the accounts."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        names = accounts.list_users(service)
    if as_json:
        print_json(names)
    else:
        click.echo("\n".join(names) or "No accounts. `digits user add NAME` makes one.")


@user.command("remove")
@click.argument("name")
@jobs_dir_option
def remove_user(name: str, jobs_dir: str | None) -> None:
    """Remove the account NAME with its tokens and sessions; its jobs stay."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.remove_user(service, name)
    click.echo(f"{name} is removed.")


@user.command("passwd")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@jobs_dir_option
def change_password(name: str, password: str, jobs_dir: str | None) -> None:
    """Give the account NAME a new password; its sessions end, its tokens stay."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.change_password(service, name, password)
    click.echo(f"{name} has a new password.")


@user.command("sessions")
@click.argument("name")
@click.option("--end", "session_id", metavar="ID", help="End this session.")
@click.option("--end-all", is_flag=True, help="End all of them.")
@json_option
@jobs_dir_option
def user_sessions(name: str, session_id: str | None, end_all: bool, as_json: bool, jobs_dir: str | None) -> None:
    """Print where NAME is logged in, or end such sessions."""
    from digits.service import accounts, sessions

    with open_service(jobs_dir) as service:
        accounts.check_known(service, name)
        if session_id:
            sessions.end(service, name, session_id)
        if end_all:
            sessions.end_all(service, name)
        found = sessions.list_sessions(service, name)
    if as_json:
        print_json([asdict(row) for row in found])
        return
    for row in found:
        click.echo(
            f"{row.id}  from {row.address or 'unknown'}  since {_moment(row.created)}  used {_moment(row.last_used)}  {row.agent}"
        )
    if not found:
        click.echo(f"{name} has no session.")


@click.group()
def token() -> None:
    """Make, list and revoke bearer tokens for scripts."""


@token.command("add")
@click.argument("name", metavar="USER")
@click.option("--label", default="", help="What the token is for.")
@click.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    default=str(Scope.RUN),
    show_default=True,
    help="; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items()) + ".",
)
@click.option("--days", type=float, help="How long it lives; 0: until it is revoked. [default: 365]")
@jobs_dir_option
def add_token(name: str, label: str, scope: str, days: float | None, jobs_dir: str | None) -> None:
    """Print a new token that acts as USER; it is shown only once.

    Send it as `Authorization: Bearer TOKEN`. What it may do and until when is printed to standard error.
    """
    from digits.service import tokens

    with open_service(jobs_dir) as service:
        text = tokens.add_token(service, name, label, Scope(scope), tokens.TOKEN_DAYS if days is None else days)
        made = next(row for row in reversed(tokens.list_tokens(service, name)) if row.id == tokens.id_of(text))
    click.echo(text)
    click.echo(f"{made.id} acts as {name}, scope {scope} ({MEANINGS[Scope(scope)]}), {_life(made.expires)}.", err=True)


@token.command("list")
@json_option
@jobs_dir_option
def list_tokens(as_json: bool, jobs_dir: str | None) -> None:
    """Print the tokens' first digits, users, scopes, how long they live, their last use and labels."""
    from digits.service import tokens

    with open_service(jobs_dir) as service:
        found = tokens.list_tokens(service)
    if as_json:
        print_json([asdict(row) for row in found])
        return
    for row in found:
        used = f"used {_moment(row.last_used)}" if row.last_used else "never used"
        click.echo(f"{row.id}  {row.user}  {row.scope}  {_life(row.expires)}  {used}  {row.label}")


@token.command("remove")
@click.argument("token_id")
@jobs_dir_option
def remove_token(token_id: str, jobs_dir: str | None) -> None:
    """Revoke the token that `digits token list` shows as TOKEN_ID."""
    from digits.service import tokens

    with open_service(jobs_dir) as service:
        tokens.remove_token(service, token_id)
    click.echo("The token no longer opens anything.")


def _life(expires: float | None) -> str:
    if expires is None:
        return "until it is revoked"
    return f"{'expired' if expires <= time.time() else 'until'} {_moment(expires)}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
