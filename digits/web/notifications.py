"""`/notifications`: what the user is notified of and where, a test, the log, and what the user's browser is to show."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template

from digits.domain.notifications import EVENTS, SCOPES, WEBHOOKS
from digits.errors import BadRequest
from digits.service import notifications
from digits.utils.values import boolean, counted, shown
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, require_user, route, wants_json

TEXTS = ("scope", "email", *WEBHOOKS, "ntfy_token")
FORM = {
    "events": f"Of {', '.join(EVENTS)}: a list, or one text with commas; blank: none.",
    "scope": "mine (own jobs, and those of nobody) or all.",
    "browser": "1 or 0: whether the browser shows them.",
    "email": "An address, blank: none; so the others.",
    "webhook": "An address that gets JSON.",
    "slack": "An address that takes what Slack's incoming webhooks take.",
    "ntfy": "The address of an ntfy topic.",
    "ntfy_token": "Its access token.",
}
ROW = "`id`, `event`, `channel`, `title`, `text`, `job_id`, `created`, `state` (waiting, sent, failed), `error`"


def blueprint() -> Blueprint:
    """The routes below `/notifications`."""
    area = Blueprint("notifications", __name__)
    route(area, "/notifications")(index)
    route(area, "/notifications", methods=("POST",))(save)
    route(area, "/notifications/test", methods=("POST",))(test)
    area.add_url_rule("/notifications/new.json", "new", new)
    return area


@describes(answer=f"`choices` (addresses of webhooks masked), `events`, `mail` (whether there is a mail server), `log`: {ROW}.")
def index() -> Any:
    """What the user is notified of, and the newest notifications."""
    service, user = get_service(), require_user()
    chosen, log = notifications.choices_of(service, user).masked(), notifications.log(service, user)
    mail = bool(service.settings.smtp_host)
    if wants_json():
        return jsonify(choices=chosen, events=EVENTS, mail=mail, log=log)
    return render_template("notifications.html", choices=chosen, events=EVENTS, scopes=SCOPES, mail=mail, log=log)


@describes(form=FORM, answer="`choices`: what they are now, addresses of webhooks masked; `message`.")
def save() -> Any:
    """Change the choices that are sent; an address that is sent as it was shown stays what it is."""
    user = require_user()
    changes: dict[str, Any] = {name: said.strip() for name in TEXTS if (said := arguments.given(name)) is not None}
    events = arguments.items("events")
    if events is not None:
        changes["events"] = tuple(dict.fromkeys(event.strip() for event in events if event.strip()))
    if (said := arguments.given("browser")) is not None:
        wanted = boolean(said.strip() or "0")
        if wanted is None:
            raise BadRequest(f"browser is {shown(said)}, expected 1 or 0.")
        changes["browser"] = wanted
    if not changes:
        raise BadRequest("Nothing to change was sent.", advice=f"Send {', '.join(FORM)}.")
    chosen = notifications.save(get_service(), user, changes)
    return jsonify(choices=chosen.masked(), message="Saved.") if wants_json() else "Saved."


@describes(form={}, answer="`sent`: to how many channels; `message`.")
def test() -> Any:
    """Send a message to every channel that is chosen."""
    sent = notifications.test(get_service(), require_user())
    message = f"A message is on its way to {counted(sent, 'channel')}."
    return jsonify(sent=sent, message=message) if wants_json() else message


@describes(json=True, arguments={"after": "The largest id that is known."}, answer=f"`rows`, oldest first: {ROW}; `last`.")
def new() -> Any:
    """What the user's browser is to show; without `after` only where to begin (`last`)."""
    service, user = get_service(), require_user()
    after = arguments.whole("after", None)
    if after is None:
        newest = notifications.log(service, user)[:1]
        return jsonify(rows=[], last=newest[0]["id"] if newest else 0)
    rows = notifications.for_browser(service, user, after)
    return jsonify(rows=rows, last=rows[-1]["id"] if rows else after)
