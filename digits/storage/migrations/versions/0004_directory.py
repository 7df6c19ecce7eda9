"""Which jobs directory the rows belong to, so that a second one does not take them for its own."""

from alembic import op

from digits.storage.jobs.tables import DirectoryRow

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    DirectoryRow.__table__.create(op.get_bind(), checkfirst=True)  # type: ignore[attr-defined]
