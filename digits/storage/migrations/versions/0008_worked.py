"""How long a job worked, without the times in which it waited, from the history of its states."""

import json

import sqlalchemy as sa
from alembic import op

from digits.domain.jobs import StatusHistory

revision = "0008"
down_revision = "0007"

JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String),
    sa.column("history", sa.Text),
    sa.column("worked", sa.Float),
    sa.column("running_since", sa.Float),
)


def upgrade() -> None:
    bind = op.get_bind()
    tables = sa.inspect(bind)
    if not tables.has_table("jobs"):
        return
    known = {column["name"] for column in tables.get_columns("jobs")}
    if "worked" not in known:
        op.add_column("jobs", sa.Column("worked", sa.Float(), nullable=False, server_default="0"))
    if "running_since" not in known:
        op.add_column("jobs", sa.Column("running_since", sa.Float(), nullable=True))
    found = []
    for job_id, text in bind.execute(sa.select(JOBS.c.id, sa.cast(JOBS.c.history, sa.Text))):
        try:
            worked, since = StatusHistory.from_json(json.loads(text or "[]")).work()
        except (TypeError, ValueError):  # a damaged one costs the duration, and not the start of the server
            continue
        found.append({"of": job_id, "seconds": worked, "since": since})
    if found:
        change = sa.update(JOBS).where(JOBS.c.id == sa.bindparam("of"))
        bind.execute(change.values(worked=sa.bindparam("seconds"), running_since=sa.bindparam("since")), found)
