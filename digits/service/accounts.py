"""Who may come in: accounts, and the token of the printed address that opens the first session.

Holds: passwords are kept as Werkzeug's scrypt texts; nothing here ever returns a stored secret. As soon as there is one account,
the first-session token opens nothing any more.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from digits.config import Settings, is_loopback
from digits.errors import BadRequest, ConfigError, NotFound
from digits.service import Service, sessions
from digits.storage.files import atomic
from digits.storage.jobs.tables import SessionRow, TokenRow, UserRow

NAME_RULE = re.compile(r"[a-z][a-z0-9.\-_]*")  # R 8.4
MAX_NAME = 80
MIN_PASSWORD = 8


def is_name(name: str) -> bool:
    """Whether a user may have that name."""
    return bool(NAME_RULE.fullmatch(name)) and len(name) <= MAX_NAME


def check_name(name: str) -> str:
    """`name`, when it is one a user may have. Raises BadRequest otherwise."""
    if not is_name(name):
        raise BadRequest(
            f"{name[:MAX_NAME]!r} cannot be a user name.",
            advice=f"Start with a lower-case letter; then lower-case letters, digits, '.', '-' and '_', at most {MAX_NAME}.",
        )
    return name


def add_user(service: Service, name: str, password: str) -> None:
    """Make an account; with the first one every session that the printed address opened ends. Raises BadRequest for a bad or
    taken name or a password that is too short."""
    row = UserRow(name=check_name(name), password=_hash(password), created=time.time())
    with Session(service.store.engine) as session, session.begin():
        if session.get(UserRow, name):
            raise BadRequest(f"There is an account {name} already.", advice=f"`digits user passwd {name}` changes its password.")
        if not session.scalar(select(func.count()).select_from(UserRow)):
            session.execute(update(SessionRow).where(SessionRow.ended.is_(None)).values(ended=row.created))
        session.add(row)


def change_password(service: Service, name: str, password: str) -> None:
    """Change a password; every session of that account ends. Raises NotFound or BadRequest."""
    hashed = _hash(password)
    with Session(service.store.engine) as session, session.begin():
        _user(session, name).password = hashed
    sessions.end_all(service, name)


def remove_user(service: Service, name: str) -> None:
    """Remove an account with its tokens and sessions. Its jobs stay. Raises NotFound."""
    with Session(service.store.engine) as session, session.begin():
        session.delete(_user(session, name))
        session.execute(delete(TokenRow).where(TokenRow.user == name))
        session.execute(delete(SessionRow).where(SessionRow.user == name))


def list_users(service: Service) -> list[str]:
    """The names of all accounts, sorted."""
    with Session(service.store.engine) as session:
        return list(session.scalars(select(UserRow.name).order_by(UserRow.name)))


def any_users(service: Service) -> bool:
    """Whether there is any account."""
    with Session(service.store.engine) as session:
        return bool(session.scalar(select(func.count()).select_from(UserRow)))


def verify(service: Service, name: str, password: str) -> bool:
    """Whether that is the account's password; takes the same time whether or not the account exists."""
    with Session(service.store.engine) as session:
        row = session.get(UserRow, name)
        from werkzeug.security import check_password_hash  # a server that is started needs no more of it than a log-in does

        return check_password_hash(row.password if row else _nobody(), password) and row is not None


def fingerprint(service: Service, name: str) -> str:
    """Changes whenever the account's password does; empty when there is no such account. A session is bound to it."""
    with service.store.engine.connect() as connection:  # with each request: as little as will do
        password = connection.scalar(select(UserRow.password).where(UserRow.name == name))
        return hashlib.sha256(password.encode()).hexdigest()[:16] if password is not None else ""


# -- the first session --------------------------------------------------------------------------------------------


def new_first_token(service: Service) -> str:
    """A fresh token for the address that `digits serve` prints; the one of the last start stops working."""
    text = secrets.token_urlsafe(24)
    _write_secret(_first_token_file(service), text)
    return text


def opens_first_session(service: Service, text: str) -> bool:
    """Whether `text` is the token of the printed address and there is no account yet."""
    try:
        expected = _first_token_file(service).read_text()
    except FileNotFoundError:
        return False
    return bool(expected) and hmac.compare_digest(expected.encode(), text.encode()) and not any_users(service)


def default_user() -> str:
    """The name of whoever comes in by the printed address: the operating system's, made to fit the rule of names."""
    try:
        name = getpass.getuser().lower()
    except (KeyError, OSError):  # no such user in the password file, as in some containers
        name = ""
    cleaned = re.sub(r"[^a-z0-9.\-_]", "", name)[:MAX_NAME]
    return cleaned if NAME_RULE.fullmatch(cleaned) else "digits"


def secret_key(service: Service) -> bytes:
    """The key that signs sessions: 32 random bytes, made once for a jobs directory, readable by its owner only."""
    file = service.jobs_dir.secret_file
    if not file.exists():
        _write_secret(file, secrets.token_hex(32))
    return bytes.fromhex(file.read_text())


def check_address(service: Service) -> None:
    """Raises ConfigError when strangers could come in: beyond loopback accounts are needed and `--no-auth` is refused."""
    refusal = address_refusal(service.settings, has_accounts=any_users(service))
    if refusal is not None:
        raise refusal


def address_refusal(settings: Settings, *, has_accounts: bool) -> ConfigError | None:
    """Why the server must not listen where the settings say; None when it may."""
    if is_loopback(settings.host):
        return None
    if not settings.auth:
        return ConfigError(
            f"--no-auth with the address {settings.host} would let anybody in.",
            advice="Leave --no-auth out, or listen on 127.0.0.1.",
        )
    if not has_accounts:
        return ConfigError(
            f"The address {settings.host} can be reached from other machines, but there is no account yet.",
            advice="Make one with `digits user add NAME`, or listen on 127.0.0.1.",
        )
    return None


def check_known(service: Service, name: str) -> str:
    """`name`, when it may have tokens: an account, or any name while there is none. Raises NotFound or BadRequest."""
    check_name(name)
    with Session(service.store.engine) as session:
        if session.scalar(select(func.count()).select_from(UserRow)):
            _user(session, name)
    return name


def _user(session: Session, name: str) -> UserRow:
    row = session.get(UserRow, name)
    if row is None:
        raise NotFound(f"There is no account {name}.", advice="`digits user list` shows them all.")
    return row


def _hash(password: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise BadRequest(f"The password has {len(password)} characters; it needs at least {MIN_PASSWORD}.")
    from werkzeug.security import generate_password_hash

    return generate_password_hash(password, method="scrypt")


@functools.cache
def _nobody() -> str:
    """What a password is compared with when there is no such account, so that both cases take the same time."""
    return _hash("nobody has this password")


def _first_token_file(service: Service) -> Path:
    return service.jobs_dir.hidden / "first-token"


def _write_secret(path: Path, text: str) -> None:
    with atomic(path, "w", permissions=0o600) as handle:
        handle.write(text)
    os.chmod(path, 0o600)
