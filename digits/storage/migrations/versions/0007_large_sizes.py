"""Sizes beyond 2 GiB in databases whose whole numbers have 32 bits; SQLite's have as many as they need."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    op.alter_column("jobs", "disk_bytes", type_=sa.BigInteger(), existing_nullable=True)
    op.alter_column("jobs", "event_offset", type_=sa.BigInteger(), existing_nullable=False)
