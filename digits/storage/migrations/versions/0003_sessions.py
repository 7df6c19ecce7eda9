"""Sessions that can be revoked; scope, life and last use of tokens. Tokens that are there keep all rights and do not expire."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    tables = sa.inspect(op.get_bind())
    if not tables.has_table("sessions"):
        op.create_table(
            "sessions",
            sa.Column("digest", sa.String(64), primary_key=True),
            sa.Column("user", sa.String(80), nullable=False),
            sa.Column("created", sa.Float, nullable=False),
            sa.Column("last_used", sa.Float, nullable=False),
            sa.Column("address", sa.String(64), nullable=False),
            sa.Column("agent", sa.String(200), nullable=False),
            sa.Column("ended", sa.Float),
        )
        op.create_index("ix_sessions_user", "sessions", ["user"])
        op.create_index("ix_sessions_last_used", "sessions", ["last_used"])
    known = {column["name"] for column in tables.get_columns("tokens")}
    for column in (
        sa.Column("scope", sa.String(8), nullable=False, server_default="admin"),
        sa.Column("expires", sa.Float),
        sa.Column("last_used", sa.Float),
    ):
        if column.name not in known:
            op.add_column("tokens", column)
