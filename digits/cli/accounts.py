"""`digits user` and `digits token`: who may log in, and with what a script may."""

from __future__ import annotations

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service


@click.group()
def user() -> None:
    """Add, list and remove accounts."""


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
    """Remove the account NAME and its tokens; its jobs stay."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.remove_user(service, name)
    click.echo(f"{name} is removed.")


@user.command("passwd")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@jobs_dir_option
def change_password(name: str, password: str, jobs_dir: str | None) -> None:
    """Give the account NAME a new password."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.change_password(service, name, password)
    click.echo(f"{name} has a new password.")


@click.group()
def token() -> None:
    """Make, list and revoke bearer tokens for scripts."""


@token.command("add")
@click.argument("name", metavar="USER")
@click.option("--label", default="", help="What the token is for.")
@jobs_dir_option
def add_token(name: str, label: str, jobs_dir: str | None) -> None:
    """Print a new token that acts as USER; it is shown only once.

    Send it as `Authorization: Bearer TOKEN`.
    """
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        click.echo(accounts.add_token(service, name, label))


@token.command("list")
@json_option
@jobs_dir_option
def list_tokens(as_json: bool, jobs_dir: str | None) -> None:
    """Print the tokens' first digits, labels and users."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        rows = [{"id": row.id, "user": row.user, "label": row.label} for row in accounts.list_tokens(service)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['id']}  {row['user']}  {row['label']}")


@token.command("remove")
@click.argument("token_id")
@jobs_dir_option
def remove_token(token_id: str, jobs_dir: str | None) -> None:
    """Revoke the token that `digits token list` shows as TOKEN_ID."""
    from digits.service import accounts

    with open_service(jobs_dir) as service:
        accounts.remove_token(service, token_id)
    click.echo("The token no longer opens anything.")
