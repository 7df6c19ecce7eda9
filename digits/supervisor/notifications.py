"""Notifications: found in the rows of jobs that changed, delivered by a thread of its own, with retries and a log.

Holds: nothing here waits for a mail server or a webhook in the supervisor's thread. What was found is kept before it is looked
further, and is made but once; what was sent when the server was killed before it could say so is sent again.
"""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
import threading
import time
import traceback
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from digits.config import Settings
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import LOWER, beats, facts
from digits.domain.notifications import Choices, Message, request_of
from digits.errors import LoadImageError
from digits.storage.jobs.store import Job, JobQuery, JobStore
from digits.storage.notifications import FAILED, SENT, WAITING, Notification, Notifications
from digits.utils.clock import ClockWatch
from digits.utils.fetch import post

logger = logging.getLogger(__name__)

RECENT_SECONDS = 86400.0  # what ended longer ago is no news, whenever its row changes
STALE_SECONDS = 3600.0
PAUSES = (10.0, 60.0, 600.0, 3600.0, 6 * 3600.0)  # before each further attempt
POLL_SECONDS = 1.0
MAIL_SECONDS = 20.0
MOST_CHANGES = 500
LONGEST_TEXT = 1000
TRY_AGAIN = (408, 425, 429)  # of the answers 4xx; the others mean that trying again is of no use


class Refused(Exception):
    """It cannot be delivered, however often it is tried."""


class Notifier:
    """Finds what there is to say (`look`, in the supervisor's thread) and delivers it (in a thread of its own)."""

    def __init__(self, settings: Settings, store: JobStore) -> None:
        self.settings = settings
        self.store = store
        self.notifications = Notifications(store.engine)
        self._clock = ClockWatch()
        self._sequence = -1
        self._leaders: dict[str, float] = {}  # the best value of a job that was compared last
        self._thread: threading.Thread | None = None
        self._leaving = threading.Event()
        self._wake = threading.Event()

    # -- finding --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Make the notifications of everything that changed since the last call."""
        if self.notifications.due(time.time(), 1):  # also of an earlier server, and tests that users ask for
            self._start()
        if self.store.sequence() == self._sequence:
            return
        cursor, now = self.notifications.cursor(), self.store.sequence()
        choices = self.notifications.all_choices()
        if cursor is None or not choices:
            self.notifications.move(now)
            self._sequence = now
            return
        while changes := self.store.changes(cursor, MOST_CHANGES):
            for job in changes:
                self._note(job, choices)
            cursor = changes[-1].seq
        self.notifications.move(cursor)
        self._sequence = now

    def stalled(self, job: Job, at: float, words: str) -> None:
        """A worker said at a time that its training makes no progress, or shows no sign of life."""
        now = time.time()
        if (
            min(abs(now - at), abs(now - self._clock.jump() - at)) < STALE_SECONDS
        ):  # else a server that was started since reads it
            self._send(job, "stalled", f"{at:.3f}", words, self.notifications.all_choices())

    def _note(self, job: Job, choices: Mapping[str, Choices]) -> None:
        if job.deleted is not None or (job.finished or time.time()) < time.time() - RECENT_SECONDS:
            return
        if job.status == Status.DONE:
            self._send(job, "done", f"{job.attempt}", " ".join(filter(None, (best_words(job), job.message))), choices)
        if job.status == Status.ERROR:
            self._send(job, "failed", f"{job.attempt}", job.error or job.message, choices)
        if any("best" in one.events for one in choices.values()) and self._leads(job):
            self._send(job, "best", "", f"{best_words(job)}, the best of its data set so far", choices)

    def _leads(self, job: Job) -> bool:
        """Whether a model that runs or is done has a better value than every other model of its data set, of which there are."""
        if job.kind != Kind.MODEL or job.best_value is None or job.status not in (Status.RUN, Status.DONE):
            return False
        if self._leaders.get(job.id) == job.best_value:
            return False
        self._leaders[job.id] = job.best_value
        others = self.store.query(JobQuery(kind=Kind.MODEL, dataset_id=job.dataset_id)).jobs
        values = [one.best_value for one in others if one.id != job.id and one.best_name == job.best_name]
        lower = (job.best_better or facts(job.best_name).better) == LOWER
        known = [value for value in values if value is not None]
        return bool(known) and all(beats(job.best_value, value, lower) for value in known)

    def _send(self, job: Job, event: str, key: str, text: str, choices: Mapping[str, Choices]) -> None:
        message = message_of(job, event, text, self.settings.public_url)
        for user, one in choices.items():
            if event in one.events and (one.scope == "all" or job.owner in ("", user)):
                self.notifications.add(user, one, job.id, f"{job.id}:{event}:{key}", message)

    # -- delivering -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the thread after the one that it sends; the others wait for the next server."""
        self._leaving.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(MAIL_SECONDS)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
            self._thread.start()
        self._wake.set()

    def _work(self) -> None:
        while not self._leaving.is_set():
            try:
                self.notifications.forget(time.time())
                while (due := self.notifications.due(time.time())) and not self._leaving.is_set():
                    for notification in due:
                        if self._leaving.is_set():
                            return
                        self.deliver(notification)
            except SQLAlchemyError as error:
                logger.debug("Notifications wait: %s", error)
                self._leaving.wait(POLL_SECONDS)
            except Exception:  # there is no other thread that would send the next one
                logger.exception("Notifications wait, and go on at the next one")
                self._leaving.wait(POLL_SECONDS)
            self._wake.wait()
            self._wake.clear()

    def deliver(self, notification: Notification) -> None:
        """Send one, and keep what came of it."""
        attempts, error, refused = notification.attempts + 1, "", False
        try:
            self._deliver(notification)
        except Refused as problem:
            error, refused = str(problem), True
        except (OSError, smtplib.SMTPException, LoadImageError) as problem:
            error = str(problem) or type(problem).__name__
        except Exception as problem:  # a library's, about a setting or an answer: it costs this one alone
            error = _place_of(problem)
        if not error:
            self.notifications.settle(notification.id, SENT, attempts)
            return
        over = refused or attempts > len(PAUSES)
        again = 0.0 if over else time.time() + PAUSES[attempts - 1]
        state, words = (FAILED, "is given up") if over else (WAITING, "is tried again")
        logger.warning("A notification by %s (%s) %s: %s", notification.channel, notification.event, words, error[:300])
        self.notifications.settle(notification.id, state, attempts, error=error[:LONGEST_TEXT], next_at=again)

    def _deliver(self, notification: Notification) -> None:
        if notification.channel == "email":
            send_mail(self.settings, notification.target, notification.message)
            return
        choices = self.notifications.choices(notification.user) or Choices()
        token = choices.token_for(notification.target) if notification.channel == "ntfy" else ""
        request = request_of(notification.channel, notification.target, notification.message, token)
        try:
            status, reason = post(*request, private=self.settings.notify_private)
        except LoadImageError as error:
            if isinstance(error.__cause__, OSError):  # the name is not known at this moment
                raise OSError(error.message) from error
            advice = "" if self.settings.notify_private else " Private ones need the setting notify_private."
            raise Refused(f"{error.message}{advice}") from error
        if 400 <= status < 500 and status not in TRY_AGAIN:
            raise Refused(f"The webhook answered {status} {reason}.")
        if not 200 <= status < 300:
            raise OSError(f"The webhook answered {status} {reason}.")


def _place_of(error: Exception) -> str:
    """What was raised and where; not its words, which may show a password or the address of a webhook."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"It cannot be sent: {type(error).__name__} in {place.name} ({os.path.basename(place.filename)}, line {place.lineno})."


def message_of(job: Job, event: str, text: str, public_url: str) -> Message:
    """What is said of a job."""
    words = {"done": "Done", "failed": "Failed", "best": "New best", "stalled": "Stalled"}[event]
    shown = ("id", "name", "kind", "owner", "group", "created", "finished", "best_name", "best_value", "best_epoch", "error")
    known: dict[str, Any] = {name: getattr(job, name) for name in shown}
    name = " ".join(job.name.split())[:200]
    url = f"{public_url.rstrip('/')}/jobs/{job.id}" if public_url else ""
    return Message(event, f"{words}: {name}", text[:LONGEST_TEXT], url, {**known, "status": job.status.word})


def best_words(job: Job) -> str:
    """The best value of a training, as lists show it; empty where there is none."""
    if job.best_value is None:
        return ""
    return f"{job.best_name} {job.best_value:.4g} at epoch {job.best_epoch or 0:g}"


def send_mail(settings: Settings, to: str, message: Message) -> None:
    """Send one e-mail by the server of the settings. Raises OSError, SMTPException, or Refused where there is none."""
    if not settings.smtp_host:
        raise Refused("No mail server is set (setting smtp_host).")
    mail = EmailMessage()
    mail["Subject"] = f"[digits] {message.title}"
    mail["From"] = settings.mail_sender
    mail["To"] = to
    mail.set_content("\n\n".join(filter(None, (message.title, message.text, message.url))) + "\n")
    secure = ssl.create_default_context()
    if settings.smtp_security == "ssl":
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=MAIL_SECONDS, context=secure)
    else:
        server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=MAIL_SECONDS)
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=secure)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            (answer,) = error.recipients.values()  # there is but one
            raise _refusal(*answer) from error
        except smtplib.SMTPSenderRefused as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error


def _refusal(code: int, said: bytes | str) -> Exception:
    """What a mail server's answer to an address means: those from 400 to 499 are for now, of greylists and full boxes."""
    words = f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    if 400 <= code < 500:
        return OSError(f"The mail server does not take the address now: {words}")
    return Refused(f"The mail server refuses the address: {words}")
