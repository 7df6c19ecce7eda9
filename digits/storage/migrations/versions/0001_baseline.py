"""The first tables. A new database is made by `storage.jobs.tables` and only marked with this version."""

from alembic import op

from digits.storage.jobs.tables import Base

revision = "0001"
down_revision = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())
