"""Bearer tokens of scripts: each acts as a user, within a scope, until it expires or is revoked.

Holds: a token is shown once, when it is made; only its SHA-256 is kept.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digits.domain.access import Scope
from digits.errors import BadRequest, NotFound, Unauthorized
from digits.service import Service, accounts
from digits.service.sessions import DAY, ID_LENGTH, USED_SECONDS, digest, note_use
from digits.storage.jobs.tables import TokenRow

TOKEN_PREFIX = "digits_"
TOKEN_DAYS = 365
MOST_DAYS = 36500
LONGEST_LABEL = 80


@dataclass(frozen=True)
class Token:
    """What is known of a bearer token; `id` is the start of its digest. Without `expires` it lives until it is revoked."""

    id: str
    label: str
    user: str
    created: float
    scope: str
    expires: float | None
    last_used: float | None


def add_token(service: Service, user: str, label: str, scope: Scope = Scope.RUN, days: float = TOKEN_DAYS) -> str:
    """A new bearer token of `user` that lives `days` (0: until it is revoked); the text is shown this once.

    Raises NotFound when there are accounts but not this one, BadRequest for a life that is none.
    """
    accounts.check_known(service, user)
    if not 0 <= days <= MOST_DAYS:
        raise BadRequest(f"A token cannot live {days:g} days.", advice=f"Give 1 to {MOST_DAYS:,}, or 0: until it is revoked.")
    text, now = TOKEN_PREFIX + secrets.token_urlsafe(32), time.time()
    row = TokenRow(digest=digest(text), label=label[:LONGEST_LABEL], user=user, created=now, scope=str(scope))
    row.expires = now + days * DAY if days else None
    with Session(service.store.engine) as session, session.begin():
        session.add(row)
    return text


def list_tokens(service: Service, user: str = "") -> list[Token]:
    """All tokens, or those of one user, oldest first; expired ones too."""
    statement = select(TokenRow).order_by(TokenRow.created)
    if user:
        statement = statement.where(TokenRow.user == user)
    with Session(service.store.engine) as session:
        return [_known(row) for row in session.scalars(statement)]


def remove_token(service: Service, token_id: str, user: str = "") -> None:
    """Revoke the token whose id (as `list_tokens` shows it) is given. Raises NotFound."""
    with Session(service.store.engine) as session, session.begin():
        statement = delete(TokenRow).where(TokenRow.digest.startswith(token_id, autoescape=True))
        if user:
            statement = statement.where(TokenRow.user == user)
        if len(token_id) != ID_LENGTH or not session.execute(statement).rowcount:  # type: ignore[attr-defined]
            raise NotFound(f"There is no token {token_id[:40]}.", advice="`digits token list` shows the ids.")


def bearer(service: Service, text: str) -> Token | None:
    """Whose token it is and what it may do; that of the printed address may do everything. None when it opens nothing.

    Notes that it is used. Raises Unauthorized when it has expired.
    """
    now = time.time()
    with Session(service.store.engine) as session:
        row = session.get(TokenRow, digest(text))
        found = _known(row) if row is not None else None
    if found is None:
        if accounts.opens_first_session(service, text):
            return Token("", "printed address", accounts.default_user(), now, str(Scope.ADMIN), None, now)
        return None
    if found.expires is not None and found.expires <= now:
        day = time.strftime("%Y-%m-%d", time.gmtime(found.expires))
        raise Unauthorized(f"The token {found.id} expired on {day}.", advice=f"`digits token add {found.user}` prints a new one.")
    if now - (found.last_used or 0) > USED_SECONDS:
        note_use(service, TokenRow, digest(text), found.last_used, now)
    return found


def id_of(text: str) -> str:
    """The id under which lists show a token."""
    return digest(text)[:ID_LENGTH]


def is_alive(service: Service, text: str) -> bool:
    """Whether a token still opens something; for answers that last."""
    try:
        return bearer(service, text) is not None
    except Unauthorized:
        return False


def _known(row: TokenRow) -> Token:
    return Token(row.digest[:ID_LENGTH], row.label, row.user, row.created, row.scope, row.expires, row.last_used)
