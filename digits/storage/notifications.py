"""Choices of users and the notifications that were made of them: what waits to be sent, and the log of what was.

Holds: a notification has a key; one that is there already is not made again, whoever tries.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from digits.domain.notifications import Choices, Message
from digits.storage.jobs.tables import CounterRow, NotificationRow, NotifyChoicesRow

CURSOR_ID = 2  # of the counter that says up to which change of jobs was looked
KEPT_SECONDS = 30 * 86400.0
WAITING, SENT, FAILED = "waiting", "sent", "failed"


@dataclass(frozen=True)
class Notification:
    """A copy of one row. `target` may be secret and is for the sender alone."""

    id: int
    user: str
    event: str
    job_id: str
    channel: str
    target: str
    message: Message
    created: float
    state: str
    attempts: int
    error: str


class Notifications:
    """All access to the two tables."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def choices(self, user: str) -> Choices | None:
        """What the user chose; None where nothing yet."""
        with Session(self.engine) as session:
            row = session.get(NotifyChoicesRow, user)
            return Choices.from_json(row.value) if row is not None else None

    def all_choices(self) -> dict[str, Choices]:
        with Session(self.engine) as session:
            return {row.user: Choices.from_json(row.value) for row in session.scalars(select(NotifyChoicesRow))}

    def save(self, user: str, choices: Choices) -> None:
        with Session(self.engine) as session, session.begin():
            session.merge(NotifyChoicesRow(user=user, value=choices.to_json()))

    def cursor(self) -> int | None:
        """Up to which change of jobs was looked; None: never."""
        with Session(self.engine) as session:
            row = session.get(CounterRow, CURSOR_ID)
            return None if row is None else row.value

    def move(self, cursor: int) -> None:
        with Session(self.engine) as session, session.begin():
            session.merge(CounterRow(id=CURSOR_ID, value=cursor))

    def add(self, user: str, choices: Choices, job_id: str, key: str, message: Message) -> int:
        """Make a notification for each channel of the user, unless it is there; how many are new."""
        return sum(self._add(user, channel, target, job_id, key, message) for channel, target in choices.targets().items())

    def _add(self, user: str, channel: str, target: str, job_id: str, key: str, message: Message) -> bool:
        now = time.time()
        row = NotificationRow(
            key=hashlib.sha256("\0".join((key, user, channel, target)).encode()).hexdigest(),
            user=user,
            event=message.event,
            job_id=job_id,
            channel=channel,
            target=target,
            message=message.to_json(),
            created=now,
            state=SENT if channel == "browser" else WAITING,
            next_at=now,
        )
        try:
            with Session(self.engine) as session, session.begin():
                session.add(row)
            return True
        except IntegrityError:
            return False

    def due(self, now: float, limit: int = 20) -> list[Notification]:
        """What is to be sent now, oldest first; what was never tried always is, also where the clock was set back since."""
        is_due = or_(NotificationRow.attempts == 0, NotificationRow.next_at <= now)
        statement = select(NotificationRow).where(NotificationRow.state == WAITING, is_due)
        return list(self._copies(statement.order_by(NotificationRow.next_at, NotificationRow.id).limit(limit)))

    def settle(self, notification_id: int, state: str, attempts: int, *, error: str = "", next_at: float = 0.0) -> None:
        """What came of sending it."""
        changed = update(NotificationRow).where(NotificationRow.id == notification_id)
        with Session(self.engine) as session, session.begin():
            session.execute(changed.values(state=state, attempts=attempts, error=error, next_at=next_at))

    def log(self, user: str, limit: int = 100) -> list[Notification]:
        """The user's newest ones, newest first."""
        statement = select(NotificationRow).where(NotificationRow.user == user)
        return list(self._copies(statement.order_by(NotificationRow.id.desc()).limit(limit)))

    def after(self, user: str, last: int, limit: int = 20) -> list[Notification]:
        """Those for the user's browser with a larger id, oldest first."""
        own = (NotificationRow.user == user, NotificationRow.channel == "browser", NotificationRow.id > last)
        return list(self._copies(select(NotificationRow).where(*own).order_by(NotificationRow.id).limit(limit)))

    def forget(self, now: float) -> None:
        """Delete what is older than thirty days."""
        with Session(self.engine) as session, session.begin():
            session.execute(delete(NotificationRow).where(NotificationRow.created < now - KEPT_SECONDS))

    def _copies(self, statement: Any) -> Iterator[Notification]:
        with Session(self.engine) as session:
            for row in session.scalars(statement):
                values = {name: getattr(row, name) for name in Notification.__dataclass_fields__}
                yield Notification(**{**values, "message": Message.from_json(row.message)})
