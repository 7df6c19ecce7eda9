"""What users are notified of, and the notifications."""

from alembic import op

from digits.storage.jobs.tables import NotificationRow, NotifyChoicesRow

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for model in (NotifyChoicesRow, NotificationRow):
        model.__table__.create(op.get_bind(), checkfirst=True)  # type: ignore[attr-defined]
