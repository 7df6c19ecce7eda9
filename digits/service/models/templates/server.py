#!/usr/bin/env python3
"""A small server for this model: python server.py [--host 127.0.0.1] [--port 8000]

Needs onnxruntime, numpy and Pillow, nothing else. POST /predict takes a picture, as the body or as the file `image_file` of a
form, and answers what `predict.py --json` prints of it; GET /health answers 200 when the model is loaded; GET / is a page to try
it. It has no log-in and no encryption: put it behind something that has, before others reach it.
"""

import argparse
import contextlib
import email
import email.policy
import io
import json
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # however this file is started, its neighbours are found

from predict import load_model, predict  # noqa: E402
from predicting import UNUSABLE, as_json, boxes_in_picture, lies, origin_of  # noqa: E402

MOST_BYTES = 64 * 2**20
SECONDS = 30  # in which a client has to say something
AT_ONCE = 4  # pictures that are predicted at the same time; others wait
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Try the model</title><style>body{font:16px system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere}</style><h1>Try the model</h1>
<form method="post" action="predict" enctype="multipart/form-data"><label>A picture <input type="file" name="image_file" required>
</label> <button>Predict</button></form></html>"""


class Refused(Exception):
    """What the client did wrong."""


class Handler(BaseHTTPRequestHandler):
    timeout = SECONDS
    session = meta = None
    turns = threading.Semaphore(AT_ONCE)

    def do_GET(self):
        if self.path == "/":
            self.answer(200, PAGE.encode(), "text/html; charset=utf-8")
        elif self.path == "/health":
            self.answer_json(200, {"status": "ready", "task": self.meta["task"], "class_labels": self.meta["class_labels"]})
        else:
            self.answer_json(404, {"error": "There are GET /, GET /health and POST /predict."})

    def do_POST(self):
        if self.path != "/predict":
            self.answer_json(404, {"error": "There are GET /, GET /health and POST /predict."})
            return
        try:
            name, data = self.picture()
            with self.turns:
                self.answer_json(200, numbers_of(name, data, self.session, self.meta))
        except Refused as error:
            self.close_connection = True
            self.answer_json(400, {"error": str(error)})

    def picture(self):
        """Name and bytes of what was sent."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or not 0 < int(length) <= MOST_BYTES:
            raise Refused(f"Send a picture of at most {MOST_BYTES >> 20} MiB, with its Content-Length.")
        data = self.rfile.read(int(length))
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return "picture", data
        head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
        form = email.message_from_bytes(head + data, policy=email.policy.HTTP)
        for part in form.iter_parts() if form.is_multipart() else ():
            if part.get_param("name", header="content-disposition") == "image_file":
                return part.get_filename() or "picture", part.get_payload(decode=True) or b""
        raise Refused("The form has no file image_file.")

    def answer_json(self, status, value):
        self.answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json")

    def answer(self, status, data, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)


def numbers_of(name, data, session, meta):
    """What `predict.py --json` prints of a picture."""
    said = io.StringIO()
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            with contextlib.redirect_stderr(said):
                outputs = predict(file.name, session, meta)
        except UNUSABLE as error:
            raise Refused(f"This cannot be used as a picture: {error}".replace(file.name, Path(name).name)) from error
        of_places = meta["task"] in ("detection", "segmentation", "processing")
        origin = origin_of(file.name, meta) if of_places else None
    if meta["task"] == "detection":
        outputs = {key: boxes_in_picture(rows, origin) for key, rows in outputs.items()}
    return {**as_json(outputs, meta), **lies(origin)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    Handler.session, Handler.meta = load_model()
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.daemon_threads = True
    print(f"http://{options.host}:{server.server_address[1]}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
