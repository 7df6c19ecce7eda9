"""`digits publish`: names under which models answer other programs, their versions and tokens (docs/serving.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.cli.tables import find_job
from digits.domain.jobs import PREDICTING
from digits.service import accounts
from digits.service.jobs import check_edit
from digits.service.serving import Serving
from digits.service.serving import names as published
from digits.service.serving.describe import describe

user_option = click.option("--user", default="", help="As this account. [default: the user of the system]")


@contextmanager
def _serving(jobs_dir: str | None, *, loads: bool = False) -> Iterator[Serving]:
    """What commands serve with; where a model is to be loaded, the running server does it or, without one, the command itself."""
    with open_service(jobs_dir) as service:
        serving = Serving.open(service)
        if not loads:
            yield serving
            return
        with answering(service, plugins=False):
            yield serving


@click.group("publish")
def publish() -> None:
    """Let models answer other programs under a name: publish, list, roll back, canary, tokens."""


@publish.command("add")
@click.argument("name")
@click.argument("model", metavar="MODEL")
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best. [default: the newest]")
@click.option("--canary", type=click.IntRange(1, 99), help="Percent of the requests that the new version gets. [default: all]")
@click.option("--queue-limit", type=click.IntRange(1, published.LARGEST_QUEUE), help="How many requests may be at work at once.")
@click.option("--no-token", is_flag=True, help="Make no token; those that there are go on working.")
@user_option
@jobs_dir_option
def add(
    name: str,
    model: str,
    epoch: str | None,
    canary: int | None,
    queue_limit: int | None,
    no_token: bool,
    user: str,
    jobs_dir: str | None,
) -> None:
    """Publish MODEL (its id or name) as NAME, as its first or next version, and print the token, this once."""
    with _serving(jobs_dir, loads=True) as serving:
        job = find_job(serving.service, model, *PREDICTING)
        who = user or accounts.default_user()
        check_edit(job, who)
        made = published.publish(
            serving, name, job, epoch, user=who, percent=canary, queue_limit=queue_limit, new_token=not no_token
        )
    click.echo(f"{name} serves {job.name}, epoch {made.version.epoch:g}, as version {made.version.number}.", err=True)
    if made.note:
        click.echo(made.note, err=True)
    if made.token:
        click.echo(made.token)


@publish.command("list")
@json_option
@jobs_dir_option
def list_names(as_json: bool, jobs_dir: str | None) -> None:
    """Print what is published."""
    with _serving(jobs_dir) as serving:
        found = serving.publications.all()
        if as_json:
            print_json([describe(serving, one, counted=False) for one in found])
            return
        for one in found:
            for row in describe(serving, one, counted=False)["versions"]:
                if row["percent"]:
                    problem = f": {row['problem']}" if row["problem"] else ""
                    share = "" if row["percent"] == 100 else f", {row['percent']} %"
                    words = f"{row['model_name']} ({row['model_id']}), epoch {row['snapshot_epoch']:g}"
                    click.echo(f"{one.name}: version {row['version']}{share}, {words}{problem}")
        if not found:
            click.echo("Nothing is published.")


@publish.command("use")
@click.argument("name")
@click.argument("version", type=int, required=False)
@user_option
@jobs_dir_option
def use(name: str, version: int | None, user: str, jobs_dir: str | None) -> None:
    """Let another VERSION of NAME answer; without one, that which was active before (roll back)."""
    with _serving(jobs_dir, loads=True) as serving:
        made = published.use(serving, name, user or accounts.default_user(), version)
    click.echo(f"{name} answers with version {made.active}.")


@publish.command("canary")
@click.argument("name")
@click.argument("percent", type=click.IntRange(0, 100))
@click.option("--version", type=int, help="Which version. [default: the present canary]")
@user_option
@jobs_dir_option
def canary(name: str, percent: int, version: int | None, user: str, jobs_dir: str | None) -> None:
    """Give a version PERCENT of the requests; 0 ends the canary, 100 makes it the active version."""
    with _serving(jobs_dir, loads=percent > 0) as serving:
        made = published.set_canary(serving, name, user or accounts.default_user(), percent, version)
    also = f", and version {made.canary} to {made.percent} % of the requests" if made.canary else ""
    click.echo(f"{name} answers with version {made.active}{also}.")


@publish.command("token")
@click.argument("name")
@click.option("--revoke", default="", metavar="ID", help="Revoke this token instead.")
@user_option
@jobs_dir_option
def token(name: str, revoke: str, user: str, jobs_dir: str | None) -> None:
    """Print a further token of NAME, this once."""
    with _serving(jobs_dir) as serving:
        who = user or accounts.default_user()
        if revoke:
            published.remove_token(serving, name, who, revoke)
            click.echo(f"The token {revoke} opens nothing any more.")
        else:
            click.echo(published.add_token(serving, name, who)[0])


@publish.command("remove")
@click.argument("name")
@user_option
@jobs_dir_option
def remove(name: str, user: str, jobs_dir: str | None) -> None:
    """Take NAME back: it answers no more, and its tokens open nothing. The models stay."""
    with _serving(jobs_dir) as serving:
        published.unpublish(serving, name, user or accounts.default_user())
    click.echo(f"{name} is not published any more.")
