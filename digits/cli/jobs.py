"""`digits jobs`: everything that runs or waits, what a user may change of a job, and the database that can be rebuilt from the
folders."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.many import PURGE, purge, remove, resume, stop
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.cli.sources import clone_job
from digits.cli.tables import find_job, find_trashed, job_table
from digits.domain.jobs import Kind
from digits.domain.query import QueryError
from digits.errors import BadRequest
from digits.service import Service, listing, trash
from digits.service import jobs as actions
from digits.service.models import length, moving
from digits.service.rows import rows
from digits.storage.jobs.store import Job, JobQuery
from digits.storage.modes import of_the_user
from digits.utils.values import counted, sizeof_fmt

SAME_RECORDS = "Data set with the same records, where its content hash is of another kind."
many_jobs = click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")


@click.group()
def jobs() -> None:
    """List, edit, tag, abort, resume and delete jobs, rebuild the database from the job folders."""


@jobs.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--tag", default="", help="Only those with this tag.")
@click.option("--query", metavar="TEXT", help="Of all jobs those that match, e.g. 'map50>0.8 dataset:bccd -network:lenet'.")
@click.option("--sort", metavar="KEYS", help="Of all jobs, by these, e.g. '-best,name' (best first), '-map50', 'learning_rate'.")
@click.option("--kind", type=click.Choice([str(kind) for kind in Kind]), help="Only those that are this.")
@click.option("--metric", default="", help="What the key `best` means. [default: what decides for most]")
@json_option
@jobs_dir_option
def list_jobs(
    everything: bool,
    tag: str,
    query: str | None,
    sort: str | None,
    kind: str | None,
    metric: str,
    as_json: bool,
    jobs_dir: str | None,
) -> None:
    """Print the jobs that run or wait, in the order in which they start; with a query, a kind, a metric or an order all that
    match, newest first (JSON: rows as in /jobs.json)."""
    with open_service(jobs_dir) as service:
        if query is not None or sort is not None or kind is not None or metric:
            listed = _matching(service, query or "", sort or "", kind or "", metric, tag)
            return print_json(rows(service, listed)) if as_json else job_table(listed)
        found = service.store.query(JobQuery(tag=tag)).jobs if everything else service.store.active()
        found = [job for job in found if not tag or tag in job.tags]
        if as_json:
            print_json([asdict(job) for job in found])
        else:
            job_table(found)


def _matching(service: Service, query: str, sort: str, kind: str, metric: str, tag: str) -> list[Job]:
    try:
        view = listing.view_of(kind=kind, query=query, sort=[sort], metric=metric, tag=tag)
        return service.store.query(view.query).jobs
    except QueryError as error:
        mark = f"{' ' * error.position}{'^' * max(1, error.length)}"
        raise BadRequest(f"{error.message}\n  {query}\n  {mark}", advice=error.advice) from error


@jobs.command("show")
@many_jobs
@jobs_dir_option
def show(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Print the rows of jobs of any kind as JSON: status, progress, group, tags, best metric."""
    with open_service(jobs_dir) as service:
        print_json(rows(service, [find_job(service, name) for name in names]))


@jobs.command("edit")
@many_jobs
@click.option("--name", help="A new name, of one job.")
@click.option("--notes", help="Notes; blank: none.")
@click.option("--group", help="The group; blank: none.")
@click.option("--tags", metavar="TAG,TAG", help="All tags from now on; blank: none.")
@click.option("--add-tag", multiple=True, metavar="TAG", help="One tag more; may be given several times.")
@click.option("--remove-tag", multiple=True, metavar="TAG", help="One tag less; may be given several times.")
@jobs_dir_option
def edit(
    names: tuple[str, ...],
    name: str | None,
    notes: str | None,
    group: str | None,
    tags: str | None,
    add_tag: tuple[str, ...],
    remove_tag: tuple[str, ...],
    jobs_dir: str | None,
) -> None:
    """Change name, notes, group and tags of jobs."""
    if all(given is None for given in (name, notes, group, tags)) and not add_tag and not remove_tag:
        raise BadRequest(
            "Nothing to change was given.", advice="Give --name, --notes, --group, --tags, --add-tag or --remove-tag."
        )
    if name is not None and len(names) > 1:
        raise BadRequest(f"--name names one job; {len(names)} were given.", advice="Rename them one by one.")

    def tags_of(job: Job) -> list[str] | None:
        if tags is None and not add_tag and not remove_tag:
            return None
        kept = job.tags if tags is None else tags.split(",")
        return [tag for tag in actions.clean_tags([*kept, *add_tag]) if tag not in remove_tag]

    with open_service(jobs_dir) as service:
        for job in [find_job(service, which) for which in names]:
            edited = actions.edit(service, job, name=name, notes=notes, group=group, tags=tags_of(job))
            parts = [f"group {edited.group}" if edited.group else "", f"tags {', '.join(edited.tags)}" if edited.tags else ""]
            click.echo(f"{edited.id} {edited.name}" + "".join(f", {part}" for part in parts if part))


@jobs.command("abort")
@many_jobs
@jobs_dir_option
def abort(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Stop jobs of any kind."""
    with open_service(jobs_dir) as service:
        stop(service, [find_job(service, name) for name in names])


@jobs.command("resume")
@many_jobs
@click.option("--no-wait", is_flag=True, help="Only put them in the queue of a running server.")
@jobs_dir_option
def resume_jobs(names: tuple[str, ...], no_wait: bool, jobs_dir: str | None) -> None:
    """Let aborted or failed jobs go on from their checkpoints."""
    with open_service(jobs_dir) as service:
        resume(service, [find_job(service, name) for name in names], no_wait)


@jobs.command("finish")
@many_jobs
@jobs_dir_option
def finish(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Stop & keep best: let trainings end at their next step as done, with the best snapshot kept."""
    with open_service(jobs_dir) as service:
        for job in [find_job(service, name, Kind.MODEL) for name in names]:
            click.echo(f"{job.name}: {length.finish(service, job)}")


@jobs.command("extend")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("--epochs", type=click.IntRange(1), required=True, help="How many more.")
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
def extend(name: str, epochs: int, no_wait: bool, jobs_dir: str | None) -> None:
    """Let a training that is done go on from its last state; it keeps its id. The policy of the learning rate counts its percents
    of the new number of epochs from then on."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.MODEL)
        total = length.extend(service, job, epochs)
        click.echo(f"{job.name} goes on, for {total:,} epochs in all.")
        done = no_wait or follow(service, [job.id])
    sys.exit(0 if done else 1)


@jobs.command("export")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write. [default: <id>.tar]")
@jobs_dir_option
def export(name: str, output: Path | None, jobs_dir: str | None) -> None:
    """Write a model with its curves, snapshots, exports and last state into an archive for `digits jobs import` elsewhere. The
    data set is not in it: it is named by the hash of its records."""
    with open_service(jobs_dir) as service, of_the_user():
        model = find_job(service, name, Kind.MODEL)
        click.echo(str(moving.export_model(service, model, output or Path(f"{model.id}.tar"))))


@jobs.command("import")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--owner", default="", help="Account that it belongs to.")
@click.option("--dataset", default="", metavar="ID_OR_NAME", help=SAME_RECORDS)
@jobs_dir_option
def import_job(archive: Path, owner: str, dataset: str, jobs_dir: str | None) -> None:
    """Take in a model from an archive of `digits jobs export`, under its id. A data set of the same records must be here."""
    with open_service(jobs_dir) as service:
        named = find_job(service, dataset, Kind.DATASET).id if dataset else ""
        job = moving.import_model(service, archive, owner, named)
        click.echo(f"{job.id} {job.name} is here now.")


@jobs.command("clone")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("--name", "new_name", default="", help="What the new job is called. [default: the same]")
@click.option("--owner", default="", help="Account that it belongs to.")
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
def clone(name: str, new_name: str, owner: str, no_wait: bool, jobs_dir: str | None) -> None:
    """Make a data set or a model once more, from the form that made it."""
    with open_service(jobs_dir) as service:
        with answering(service):
            made = [clone_job(service, find_job(service, name), owner)]
        if new_name:
            made = [actions.edit(service, made[0], name=new_name)]
        done = no_wait or follow(service, [made[0].id])
        click.echo(made[0].id)
    sys.exit(0 if done else 1)


@jobs.command("repeat")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("--seeds", default=3, show_default=True, help="How many more trainings.")
@click.option("--owner", default="", help="Account that they belong to.")
@click.option("--no-wait", is_flag=True, help="Only put them in the queue of a running server.")
@jobs_dir_option
def repeat(name: str, seeds: int, owner: str, no_wait: bool, jobs_dir: str | None) -> None:
    """Train a model again with other random seeds, to see how much of its result is chance; `digits compare` makes one line of
    them."""
    from digits.service.models.repeat import repeat as repeated

    with open_service(jobs_dir) as service:
        with answering(service):
            made = repeated(service, find_job(service, name, Kind.MODEL), seeds, owner)
        done = no_wait or follow(service, [job.id for job in made])
        for job in made:
            click.echo(job.id)
    sys.exit(0 if done else 1)


@jobs.command("reproduce")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("--owner", default="", help="Account that it belongs to.")
@click.option("--dataset", default="", metavar="ID_OR_NAME", help=SAME_RECORDS)
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
def reproduce(name: str, owner: str, dataset: str, no_wait: bool, jobs_dir: str | None) -> None:
    """Do a training again from all that was kept of it (request, network text, records, first weights, seed) and print whether it
    matches exactly, within how much, or why it differs."""
    from digits.service.models.reproduce import reproduce as again
    from digits.service.models.reproduce import reproduction

    with open_service(jobs_dir) as service:
        named = find_job(service, dataset, Kind.DATASET).id if dataset else ""
        made = again(service, find_job(service, name, Kind.MODEL), owner, named)
        done = no_wait or follow(service, [made.id])
        click.echo(" ".join(filter(None, [made.id, reproduction(service, made)["verdict"]])))
    sys.exit(0 if done else 1)


@jobs.command("move")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("place", metavar="top|up|down|bottom|NUMBER")
@jobs_dir_option
def move(name: str, place: str, jobs_dir: str | None) -> None:
    """Move a waiting job in the queue; a NUMBER becomes its priority, the higher the sooner."""
    with open_service(jobs_dir) as service:
        job = actions.reprioritize(service, find_job(service, name), place)
        click.echo(f"{job.name} has the priority {job.priority}.")


@jobs.command("delete")
@many_jobs
@click.option("--yes", is_flag=True, help="Do not ask.")
@PURGE
@jobs_dir_option
def delete(names: tuple[str, ...], yes: bool, for_good: bool, jobs_dir: str | None) -> None:
    """Delete jobs of any kind, with everything they made. They lie in the trash for some days (setting `trash_days`)."""
    with open_service(jobs_dir) as service:
        jobs = [find_job(service, name) for name in names]
        (purge if for_good else remove)(service, jobs, yes)


@jobs.command("trash")
@json_option
@jobs_dir_option
def list_trash(as_json: bool, jobs_dir: str | None) -> None:
    """Print what was deleted and can be restored, the last deleted first, with the disk it takes."""
    with open_service(jobs_dir) as service:
        found = trash.list_trash(service, None)
        if as_json:
            print_json([one.to_json() for one in found])
            return
        for one in found:
            deleted, until = (time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (one.deleted, one.until))
            size = sizeof_fmt(one.job.disk_bytes) if one.job.disk_bytes is not None else ""
            click.echo(f"{one.job.id}  {deleted}  until {until}  {size:>9}  {one.job.kind}  {one.job.name}")
        click.echo(f"{counted(len(found), 'job')}, {sizeof_fmt(trash.disk_bytes(found))}.")


@jobs.command("restore")
@many_jobs
@jobs_dir_option
def restore(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Take jobs out of the trash, with what they need and what was deleted with them."""
    with open_service(jobs_dir) as service:
        jobs = [find_trashed(service, name) for name in names]
        back = trash.restore(service, jobs, None)
        follow(service, [job.id for job in back], until_gone=True)
        for job in back:
            click.echo(f"{job.id} {job.name} is restored.")


@jobs.command("purge")
@click.argument("names", nargs=-1, metavar="ID_OR_NAME...")
@click.option("--all", "everything", is_flag=True, help="All that lies in the trash.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@jobs_dir_option
def purge_jobs(names: tuple[str, ...], everything: bool, yes: bool, jobs_dir: str | None) -> None:
    """Let jobs in the trash go for good."""
    if bool(names) == everything:
        raise BadRequest("Which jobs?", advice="Give their ids or names, or --all.")
    with open_service(jobs_dir) as service:
        purge(service, service.store.trash() if everything else [find_trashed(service, name) for name in names], yes)


@jobs.command("reindex")
@jobs_dir_option
def reindex(jobs_dir: str | None) -> None:
    """Make the table of jobs again from the job folders. Accounts and tokens stay. A database that belonged to another jobs
    directory belongs to this one from now on."""
    from digits.storage.jobs.reindex import reindex as rebuild

    with open_service(jobs_dir, take_over=True) as service:
        report = rebuild(service.jobs_dir, service.store)
    click.echo(f"{len(report.restored)} jobs found.")
    for path, reason in report.problems:
        click.echo(f"left out: {path}: {reason}", err=True)
