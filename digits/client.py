"""A client of a digits server for scripts: list and query runs, start, wait, stop, and fetch numbers, into pandas where it is
installed. It needs nothing but Python.

Holds: a client may be used by several threads. Whatever the server refuses is a `ClientError` with its message and status.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

PAGE = 500  # rows of one request
POLL_SECONDS = 2.0
TIMEOUT_SECONDS = 60.0
ENDED = frozenset({"D", "A", "E"})
PHASES = ("train", "val", "lr", "gradients")


class ClientError(Exception):
    """What the server refused, or that it does not answer (`status` 0). `body` is the whole answer, `errors` those of form
    fields, `position` the place of an error in a query."""

    def __init__(self, message: str, status: int = 0, advice: str = "", body: Any = None) -> None:
        super().__init__(" ".join(filter(None, (message, advice))))
        self.message, self.status, self.advice, self.body = message, status, advice, body
        self.errors: dict[str, list[str]] = body.get("errors", {}) if isinstance(body, dict) else {}
        self.position: int | None = body.get("position") if isinstance(body, dict) else None


class Client:
    """A server and who one is there.

    `url` and `token` are taken from DIGITS_URL and DIGITS_TOKEN where they are not given; `user` is a name for servers without
    log-in. `timeout` are the seconds that one request may take.
    """

    def __init__(self, url: str = "", token: str = "", *, user: str = "", timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = (url or os.environ.get("DIGITS_URL") or "http://localhost:5000").rstrip("/")
        self.token = token or os.environ.get("DIGITS_TOKEN", "")
        self.user = user
        self.timeout = timeout

    # -- looking --------------------------------------------------------------------------------------------------

    def jobs(self, query: str = "", *, kind: str = "", sort: str = "", limit: int = 0, **more: Any) -> list[dict[str, Any]]:
        """Rows of jobs, found by the query language (docs/jobs.md): `client.jobs("task:detection map50>0.8", kind="model",
        sort="-best")`. `limit` 0: all. `more` are further arguments of `/jobs.json`. Raises ClientError with `position` for a
        query that cannot be read."""
        rows: dict[str, dict[str, Any]] = {}  # by id: a job that comes in between moves the others to the next page, again
        offset = 0
        while True:
            wanted = min(PAGE, limit - len(rows)) if limit else PAGE
            given = {"query": query, "kind": kind, "sort": sort, **more, "offset": offset, "limit": wanted}
            page = self.get("/jobs.json", **{name: value for name, value in given.items() if value not in ("", None)})
            rows |= {row["id"]: row for row in page["rows"]}
            offset += len(page["rows"])
            if offset >= page["total"] or not page["rows"] or (limit and len(rows) >= limit):
                return list(rows.values())

    def models(self, query: str = "", **more: Any) -> list[dict[str, Any]]:
        """`jobs` of models."""
        return self.jobs(query, kind="model", **more)

    def datasets(self, query: str = "", **more: Any) -> list[dict[str, Any]]:
        """`jobs` of data sets."""
        return self.jobs(query, kind="dataset", **more)

    def job(self, job_id: str) -> dict[str, Any]:
        """The row of one job."""
        found: dict[str, Any] = self.get(f"/jobs/{_part(job_id)}/table_data.json")["job"]
        return found

    def details(self, job_id: str) -> dict[str, Any]:
        """Everything that the page of a job says, as JSON."""
        found: dict[str, Any] = self.get(f"/jobs/{_part(job_id)}.json")
        return found

    def runs(self, query: str = "", **more: Any) -> Any:
        """`models` as a pandas DataFrame with the ids as its index; a list of rows where pandas is not installed."""
        return _frame(self.models(query, **more), "id")

    def curves(self, job_ids: str | Sequence[str]) -> Any:
        """Every value that models measured, one line each: `id`, `phase` (train, val, lr, gradients), `step`, `epoch`, `name`,
        `value`; as a pandas DataFrame, a list where pandas is not installed. What became no number is left out."""
        lines = [line for job_id in _list(job_ids) for line in self._points(job_id)]
        return _frame(lines, None)

    def _points(self, job_id: str) -> Iterator[dict[str, Any]]:
        """By phase and name; of one of them in the order in which they were measured."""
        lines = list(csv.DictReader(io.StringIO(str(self.get(f"/models/{_part(job_id)}/metrics.csv")))))
        places = {name: place for place, name in enumerate(dict.fromkeys(line["name"] for line in lines))}
        for line in sorted(lines, key=lambda line: (PHASES.index(line["phase"]), places[line["name"]])):
            if math.isfinite(value := float(line["value"] or "nan")):
                step, epoch = int(line["step"]), float(line["epoch"])
                yield {"id": job_id, "phase": line["phase"], "step": step, "epoch": epoch, "name": line["name"], "value": value}

    # -- doing ----------------------------------------------------------------------------------------------------

    def start(self, path: str, **fields: Any) -> list[str]:
        """Send the form of a data set, a model or an evaluation, e.g. `client.start("/models/images/classification",
        dataset=ID, standard_networks="lenet", method="standard", model_name="first")`; the ids of the jobs (several of a sweep).

        A list sends its field once for each item. Raises ClientError with `errors` by field."""
        address = path if path.endswith(".json") else f"{path}.json"
        answer = self.post(address, **fields)
        return [job["id"] for job in answer["jobs"]] if "jobs" in answer else [answer.get("id") or answer["job_id"]]

    def wait(
        self, job_ids: str | Sequence[str], *, timeout: float | None = None, poll: float = POLL_SECONDS
    ) -> list[dict[str, Any]]:
        """Wait until all of the jobs have ended; their rows, in the order given. Raises TimeoutError after `timeout` seconds."""
        wanted = _list(job_ids)
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            rows = [self.job(job_id) for job_id in wanted]
            left = [row for row in rows if row["letter"] not in ENDED or row.get("pending")]
            if not left:
                return rows
            if ends is not None and time.monotonic() >= ends:
                raise TimeoutError(f"{left[0]['name']} is {left[0]['status']} after {timeout:g} s.")
            time.sleep(poll)

    def stop(self, job_id: str) -> None:
        """Abort a job; what it saved stays."""
        self.post(f"/jobs/{_part(job_id)}/abort")

    def resume(self, job_id: str) -> None:
        """Let an aborted or failed job go on."""
        self.post(f"/jobs/{_part(job_id)}/resume")

    def finish(self, job_id: str) -> None:
        """Stop & keep best: let a training end at its next step as done."""
        self.post(f"/models/{_part(job_id)}/finish.json")

    def extend(self, job_id: str, epochs: int) -> int:
        """Let a training that is done go on for `epochs` more; how many it has in all then."""
        return int(self.post(f"/models/{_part(job_id)}/extend.json", epochs=epochs)["epochs"])

    def edit(self, job_id: str, **fields: Any) -> dict[str, Any]:
        """Change `job_name`, `job_notes`, `group_name` or `tags` (a list, or one text with commas; empty: none)."""
        body = json.dumps(
            {name: value for name, value in fields.items() if value is not None}
        ).encode()  # a form has no empty list
        edited: dict[str, Any] = self._send("PUT", f"/jobs/{_part(job_id)}", body, {"Content-Type": "application/json"})
        return edited

    def delete(self, job_id: str, *, purge: bool = False) -> None:
        """Put a job into the trash, or with `purge` remove it for good."""
        self.request("DELETE", f"/jobs/{_part(job_id)}" + ("?purge=1" if purge else ""), {})

    def restore(self, job_id: str) -> list[str]:
        """Take a job out of the trash; the ids of all that came back with it."""
        return list(self.post(f"/jobs/{_part(job_id)}/restore.json")["restored"])

    def predict(self, model_id: str, picture: str | os.PathLike[str] | bytes | None = None, **fields: Any) -> dict[str, Any]:
        """What a model of any task makes of one picture, a file here or its bytes: `/models/ID/answer.json`. Without one `fields`
        say which: `record="val:17"` of its data set, or `image_path`, a file of the server. Further ones are `snapshot_epoch`
        (`"best"`, …) and `second`, a model whose answer is to stand beside."""
        path = f"/models/{_part(model_id)}/answer.json"
        if picture is None:
            found: dict[str, Any] = self.post(path, **fields)
            return found
        data = bytes(picture) if isinstance(picture, bytes) else _read(picture)
        name = "picture" if isinstance(picture, bytes) else os.path.basename(os.fspath(picture))
        body, kind = _multipart(fields, "image_file", name, data)
        answered: dict[str, Any] = self._send("POST", path, body, {"Content-Type": kind})
        return answered

    # -- requests -------------------------------------------------------------------------------------------------

    def get(self, path: str, **arguments: Any) -> Any:
        """Any address of the server: its JSON."""
        return self.request("GET", f"{path}?{_encoded(arguments)}" if arguments else path)

    def post(self, path: str, **fields: Any) -> Any:
        """A form to any address: the JSON of the answer."""
        return self.request("POST", path, fields)

    def request(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        """One request; the JSON of the answer. Raises ClientError."""
        return self._send(method, path, None if fields is None else _encoded(fields).encode(), {})

    def _send(self, method: str, path: str, body: bytes | None, more: Mapping[str, str]) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "digits-client", **more}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.user:
            headers["Cookie"] = f"username={urllib.parse.quote(self.user)}"
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with _OPENER.open(request, timeout=self.timeout) as answer:
                return _json(answer.read())
        except urllib.error.HTTPError as error:
            raise _refused(error) from error
        except (OSError, ValueError) as error:
            raise ClientError(f"{self.url} does not answer: {error}.", advice="Is the server running there?") from error


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Redirects are followed on the server itself: the token is for nobody else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        same = urllib.parse.urlsplit(newurl)[:2] == urllib.parse.urlsplit(req.full_url)[:2]
        return super().redirect_request(req, fp, code, msg, headers, newurl) if same else None


_OPENER = urllib.request.build_opener(_SameServer)


def _refused(error: urllib.error.HTTPError) -> ClientError:
    body = _json(error.read())
    if isinstance(body, dict) and "errors" in body:
        words = " ".join(f"{name}: {' '.join(texts)}" for name, texts in body["errors"].items())
        return ClientError(words, error.code, body=body)
    said = body.get("error", {}) if isinstance(body, dict) else {}
    said = said if isinstance(said, dict) else {"message": str(said)}
    return ClientError(said.get("message") or f"HTTP {error.code} {error.reason}", error.code, said.get("description", ""), body)


def _json(body: bytes) -> Any:
    """The JSON of an answer, its text where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _read(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _multipart(fields: Mapping[str, Any], file_field: str, file_name: str, data: bytes) -> tuple[bytes, str]:
    """A form with one file as a body, and its content type."""
    boundary = uuid.uuid4().hex
    name = file_name.translate({ord(letter): f"%{ord(letter):02X}" for letter in '"\r\n'})
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{_text(one)}\r\n'.encode()
        for field, value in fields.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{file_field}"; filename="{name}"\r\n'
    parts += [
        head.encode(errors="replace"),
        b"Content-Type: application/octet-stream\r\n\r\n",
        data,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _encoded(fields: Mapping[str, Any]) -> str:
    return urllib.parse.urlencode({name: _text(value) for name, value in fields.items() if value is not None}, doseq=True)


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "1" if value else "0"
    return [_text(item) for item in value] if isinstance(value, list | tuple) else value


def _list(job_ids: str | Iterable[str]) -> list[str]:
    return [job_ids] if isinstance(job_ids, str) else list(job_ids)


def _part(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _frame(rows: list[dict[str, Any]], index: str | None) -> Any:
    try:
        import pandas
    except ImportError:
        return rows
    frame = pandas.DataFrame(rows)
    return frame.set_index(index) if index and rows else frame
