"""Sessions of browsers: begun by a log-in, listed, ended one by one or all at once, and forgotten when they are old.

Holds: the cookie holds a random secret, the database its SHA-256; a session counts only while its row says so, so a copy of a
cookie is worth nothing once the session has ended. It ends by itself 30 days after its last request.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from digits.errors import NotFound
from digits.service import Service
from digits.storage.jobs.tables import SessionRow, TokenRow
from digits.utils.addresses import network

logger = logging.getLogger(__name__)
SESSION_DAYS = 30  # after the last request
KEPT_DAYS = 90  # rows of ended sessions: for so long an address counts as one that was in
USED_SECONDS = 60.0  # the last use is written down at most once in so long
ID_LENGTH = 12
DAY = 86400.0
_NOTING: set[str] = set()  # whose last use is written down at this moment


@dataclass(frozen=True)
class BrowserSession:
    """What is known of a session; `id` is the start of its digest, `address` where it logged in from."""

    id: str
    user: str
    created: float
    last_used: float
    expires: float
    address: str
    agent: str


def begin(service: Service, user: str, address: str, agent: str) -> str:
    """A new session; the secret for its cookie. Rows of sessions that ended long ago go."""
    secret, now = secrets.token_urlsafe(32), time.time()
    with Session(service.store.engine) as session, session.begin():
        session.execute(delete(SessionRow).where(SessionRow.last_used < now - KEPT_DAYS * DAY))
        session.add(_row(digest(secret), user, now, address, agent))
    return secret


def use(service: Service, user: str, secret: str) -> bool:
    """Whether the cookie's session goes on; notes that it is used."""
    now = time.time()
    row = _found(service, secret)
    if row is None or row.user != user or not _goes_on(row.ended, row.last_used, now):
        return False
    if now - row.last_used > USED_SECONDS:
        note_use(service, SessionRow, digest(secret), row.last_used, now)
    return True


def note_use(service: Service, table: type[SessionRow | TokenRow], key: str, before: float | None, now: float) -> None:
    """Write down when a session or a token was used, unless another request does: hundreds may come together, of which one is
    enough. `before` is the last use as this request knows it."""
    if key in _NOTING:
        return
    _NOTING.add(key)
    try:
        with service.store.engine.connect() as connection:
            if connection.scalar(select(table.digest).where(table.digest == key, table.last_used == before)) is None:
                return  # who came a little earlier did
        with Session(service.store.engine) as session, session.begin():
            session.execute(update(table).where(table.digest == key).values(last_used=now))
    except SQLAlchemyError as error:  # a full disk keeps nobody out
        logger.warning("The last use in %s cannot be written down: %s", table.__tablename__, error)
    finally:
        _NOTING.discard(key)


def adopt(service: Service, user: str, secret: str, address: str, agent: str) -> bool:
    """A session of a version that kept none: written down at its first request, unless it was ended since, or all were."""
    now = time.time()
    with Session(service.store.engine) as session, session.begin():
        if session.get(SessionRow, digest(secret)) is not None:
            return use(service, user, secret)
        if session.get(SessionRow, _all_ended(user)) is not None:
            return False
        session.add(_row(digest(secret), user, now, address, agent))
    return True


def goes_on(service: Service, secret: str) -> bool:
    """Whether a session still counts; for answers that last."""
    row = _found(service, secret)
    return row is not None and _goes_on(row.ended, row.last_used, time.time())


def list_sessions(service: Service, user: str) -> list[BrowserSession]:
    """The sessions of a user that go on, the one used last first."""
    statement = select(SessionRow).where(SessionRow.user == user).order_by(SessionRow.last_used.desc())
    now = time.time()
    with Session(service.store.engine) as session:
        return [_known(row) for row in session.scalars(statement) if _goes_on(row.ended, row.last_used, now)]


def end(service: Service, user: str, session_id: str) -> None:
    """End the session whose id (as the list shows it) is given. Raises NotFound."""
    conditions = (SessionRow.user == user, SessionRow.digest.startswith(session_id, autoescape=True), SessionRow.ended.is_(None))
    with Session(service.store.engine) as session, session.begin():
        statement = update(SessionRow).where(*conditions).values(ended=time.time())
        if len(session_id) != ID_LENGTH or not session.execute(statement).rowcount:  # type: ignore[attr-defined]
            raise NotFound(f"{user} has no session {session_id[:40]}.", advice=f"`digits user sessions {user}` shows the ids.")


def end_all(service: Service, user: str) -> int:
    """End every session of a user, also those that an older version began; how many were known."""
    now = time.time()
    with Session(service.store.engine) as session, session.begin():
        rows = list(session.scalars(select(SessionRow).where(SessionRow.user == user, SessionRow.ended.is_(None))))
        for row in rows:
            row.ended = now
        session.merge(SessionRow(digest=_all_ended(user), user=user, created=now, last_used=now, ended=now))
        return sum(now - row.last_used < SESSION_DAYS * DAY for row in rows)


def was_in(service: Service, user: str, address: str) -> bool:
    """Whether the user logged in from that address within the last 90 days."""
    with Session(service.store.engine) as session:
        known = session.scalars(select(SessionRow.address).where(SessionRow.user == user).distinct())
        return network(address) in {network(text) for text in known if text}


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _row(key: str, user: str, now: float, address: str, agent: str) -> SessionRow:
    return SessionRow(digest=key, user=user, created=now, last_used=now, address=address[:64], agent=agent[:200])


def _found(service: Service, secret: str) -> Any:
    """What decides about a session, read with each request."""
    statement = select(SessionRow.user, SessionRow.ended, SessionRow.last_used).where(SessionRow.digest == digest(secret))
    with service.store.engine.connect() as connection:
        return connection.execute(statement).first()


def _goes_on(ended: float | None, last_used: float, now: float) -> bool:
    return ended is None and now - last_used < SESSION_DAYS * DAY


def _known(row: SessionRow) -> BrowserSession:
    expires = row.last_used + SESSION_DAYS * DAY
    return BrowserSession(row.digest[:ID_LENGTH], row.user, row.created, row.last_used, expires, row.address, row.agent)


def _all_ended(user: str) -> str:
    """Key of the row that says that all sessions of a user were ended once."""
    return digest(f"all sessions of {user}")
