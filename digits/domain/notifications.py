"""What a user is notified of and where: choices, messages, and the body that each sort of webhook takes. No input or output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any
from urllib.parse import urlsplit

from digits.errors import FormErrors

EVENTS = {
    "done": "a job is done",
    "failed": "a job ends in an error",
    "best": "a model becomes the best of its data set",
    "stalled": "a training makes no progress, or shows no sign of life",
}
SCOPES = {"mine": "my jobs, and those of nobody", "all": "all jobs"}
WEBHOOKS = {"webhook": "JSON", "slack": "Slack", "ntfy": "ntfy"}
CHANNELS = ("browser", "email", *WEBHOOKS)
LONGEST_ADDRESS = 1000
HIDDEN = "***"
_MAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.\-]{1,255}")


@dataclass(frozen=True)
class Choices:
    """What one user wants to hear, and by which channels; an empty address: not by that one."""

    events: tuple[str, ...] = ("done", "failed", "stalled")
    scope: str = "mine"
    browser: bool = False
    email: str = ""
    webhook: str = ""
    slack: str = ""
    ntfy: str = ""
    ntfy_token: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "events": list(self.events)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choices:
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**{**known, "events": tuple(known.get("events", cls.events))})

    def masked(self) -> dict[str, Any]:
        """As pages and answers show them: of addresses of webhooks only the host, which alone tells nobody anything."""
        secret = {name: mask(getattr(self, name)) for name in WEBHOOKS}
        return {**self.to_json(), **secret, "ntfy_token": HIDDEN if self.ntfy_token else ""}

    def targets(self) -> dict[str, str]:
        """The channels in use, each with its address (`browser` has none)."""
        found = {name: getattr(self, name) for name in ("email", *WEBHOOKS) if getattr(self, name)}
        return {**({"browser": ""} if self.browser else {}), **found}

    def token_for(self, address: str) -> str:
        """The token to send to an ntfy address: the one that was chosen with an address of the same server, else none."""
        return self.ntfy_token if self.ntfy and topic_of(address)[0] == topic_of(self.ntfy)[0] else ""

    def check(self) -> None:
        """Raises FormErrors for a choice that cannot be."""
        problems: dict[str, list[str]] = {}
        if unknown := [event for event in self.events if event not in EVENTS]:
            problems["events"] = [f"There is no event {unknown[0]!r}. Choose of {', '.join(EVENTS)}."]
        if self.scope not in SCOPES:
            problems["scope"] = [f"{self.scope!r} is neither mine nor all."]
        if self.email and not _MAIL.fullmatch(self.email):
            problems["email"] = [f"{self.email[:80]!r} is no e-mail address. Write one, such as anna@example.org."]
        for name in WEBHOOKS:
            if (address := getattr(self, name)) and (problem := address_problem(address)):
                problems[name] = [problem]
        if self.ntfy and "ntfy" not in problems and not topic_of(self.ntfy)[1]:
            problems["ntfy"] = ["The address ends in no topic. Write one, such as https://ntfy.sh/my-topic."]
        if any(ord(letter) < 33 or ord(letter) > 126 for letter in self.ntfy_token):
            problems["ntfy_token"] = ["A token has neither blanks nor letters beyond ASCII."]
        if problems:
            raise FormErrors(problems)


def mask(address: str) -> str:
    """The address without what may be secret in it."""
    if not address:
        return ""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}/{HIDDEN}"


def address_problem(address: str) -> str:
    """Why this is no address of a webhook; empty where it is one."""
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or len(address) > LONGEST_ADDRESS or not address.isprintable() or " " in address:
        return "This is no address. Write one that begins with https:// or http://."
    return "A user and a password in an address are not sent." if "@" in parts.netloc else ""


def is_sender(text: str) -> bool:
    """Whether mail can come from this: an address, or a name and an address, such as `digits <digits@example.org>`."""
    mail = EmailMessage()
    try:
        mail["From"] = text
        found = getaddresses([str(mail["From"])])
    except Exception:  # its parser raises many kinds, of half an address as of several lines
        return False
    return len(found) == 1 and bool(found[0][1]) and " " not in found[0][1]


@dataclass(frozen=True)
class Message:
    """One notification. `facts` are those of the job, `url` the address of its page (empty: not known)."""

    event: str
    title: str
    text: str
    url: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        return cls(**value)


def request_of(channel: str, address: str, message: Message, token: str = "") -> tuple[str, bytes, dict[str, str]]:
    """Address, body and headers of the request to a webhook."""
    headers = {"Content-Type": "application/json", "User-Agent": "digits"}
    value: dict[str, Any]
    if channel == "slack":
        link = f"\n<{message.url}|Open>" if message.url else ""
        value = {"text": f"*{_slack(message.title)}*\n{_slack(message.text)}{link}".strip()}
    elif channel == "ntfy":
        address, topic = topic_of(address)
        value = {"topic": topic, "title": message.title, "message": message.text or message.title}
        value |= {"click": message.url} if message.url else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
    else:
        value = {"event": message.event, "title": message.title, "text": message.text, "url": message.url, "job": message.facts}
    return address, json.dumps(value).encode(), headers


def topic_of(address: str) -> tuple[str, str]:
    """The server of an ntfy address and its topic."""
    parts = urlsplit(address)
    folder, _, topic = parts.path.rstrip("/").rpartition("/")
    return f"{parts.scheme}://{parts.netloc}{folder}/", topic


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
