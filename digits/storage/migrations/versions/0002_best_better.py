"""Which direction of a model's deciding metric is better, so that a list need not guess it from the name."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if "best_better" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("jobs")}:
        op.add_column("jobs", sa.Column("best_better", sa.String(10), nullable=False, server_default=""))
