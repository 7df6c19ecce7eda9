"""What a user is notified of, and where: choices, a test, the log. The supervisor finds and delivers them.

Holds: addresses of webhooks and tokens leave masked; what comes back masked is what it was. A token stays with the server that it
was given for: who sends another address gives its token anew.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from digits.domain.notifications import HIDDEN, WEBHOOKS, Choices, Message
from digits.errors import BadRequest, FormErrors
from digits.service import Service
from digits.storage.notifications import Notification, Notifications


def choices_of(service: Service, user: str) -> Choices:
    """What the user chose; nothing is sent until they did."""
    return Notifications(service.store.engine).choices(user) or Choices()


def save(service: Service, user: str, changes: dict[str, Any]) -> Choices:
    """Change some of the choices; addresses that are sent as they were shown stay. Raises FormErrors."""
    known = choices_of(service, user)
    secret = {name: getattr(known, name) for name in (*WEBHOOKS, "ntfy_token")}
    kept = {name: secret[name] for name, value in changes.items() if name in secret and HIDDEN in str(value)}
    chosen = replace(known, **{**changes, **kept})
    chosen.check()
    if "ntfy_token" in kept or "ntfy_token" not in changes:
        chosen = replace(chosen, ntfy_token=known.token_for(chosen.ntfy))
        if known.ntfy_token and chosen.ntfy and not chosen.ntfy_token:
            raise FormErrors(
                {"ntfy_token": ["The one that is kept is for another server. Give the one for this server, or none."]}
            )
    Notifications(service.store.engine).save(user, chosen)
    return chosen


def test(service: Service, user: str) -> int:
    """Send a message to every channel of the user; how many there are. BadRequest where there is none."""
    chosen = choices_of(service, user)
    message = Message("test", "A test of digits", "This is how you are notified.", service.settings.public_url)
    sent = Notifications(service.store.engine).add(user, chosen, "", f"test:{secrets.token_hex(8)}", message)
    if not sent:
        raise BadRequest("No channel is chosen.", advice="Choose the browser, or give an address.")
    return sent


def log(service: Service, user: str) -> list[dict[str, Any]]:
    """The user's newest notifications, newest first."""
    return [row_of(one) for one in Notifications(service.store.engine).log(user)]


def for_browser(service: Service, user: str, after: int) -> list[dict[str, Any]]:
    """Those for the user's browser with a larger id, oldest first."""
    return [row_of(one) for one in Notifications(service.store.engine).after(user, after)]


def row_of(one: Notification) -> dict[str, Any]:
    """A notification as it is shown: without its address."""
    said = {"title": one.message.title, "text": one.message.text, "job_id": one.job_id, "created": one.created}
    return {"id": one.id, "event": one.event, "channel": one.channel, **said, "state": one.state, "error": one.error}
