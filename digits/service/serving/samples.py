"""Programs that ask a published name, ready to be pasted: `TOKEN` in them is to be replaced, and `picture.png` is a picture."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from digits.storage.publications import Publication, Version

TOKEN = "YOUR_TOKEN"  # what stands where a token goes
PICTURE = "picture.png"


@dataclass(frozen=True)
class CodeSample:
    """One of the tabs: `id` stands in the page, `title` on the tab."""

    id: str
    title: str
    text: str


def code_samples(address: str, publication: Publication, version: Version) -> list[CodeSample]:
    """For the server at `address` (scheme, host and prefix)."""
    name, url = publication.name, f"{address}/serve/{publication.name}/infer.json"
    place = urlsplit(address)
    host = place.netloc + place.path.rstrip("/")
    secure = ", ssl=True" if place.scheme == "https" else ""
    output = version.outputs[0][0] if version.outputs else "output"
    return [
        CodeSample("curl", "curl", CURL.format(token=TOKEN, url=shlex.quote(url), picture=PICTURE)),
        CodeSample("python", "Python", PYTHON.format(token=TOKEN, url=url, picture=PICTURE)),
        CodeSample("json", "JSON", JSON.format(token=TOKEN, url=url, picture=PICTURE)),
        CodeSample(
            "v2", "KServe V2", TRITON.format(token=TOKEN, host=host, secure=secure, name=name, output=output, picture=PICTURE)
        ),
        CodeSample("command", "digits", f"digits predict {name} {PICTURE}\n"),
    ]


CURL = """\
TOKEN={token}
curl -H "Authorization: Bearer $TOKEN" -F image_file=@{picture} {url}
"""
PYTHON = """\
import json
import urllib.request

TOKEN = "{token}"
with open("{picture}", "rb") as file:
    picture = file.read()
request = urllib.request.Request(
    "{url}",
    data=picture,
    headers={{"Authorization": f"Bearer {{TOKEN}}", "Content-Type": "application/octet-stream"}},
)
with urllib.request.urlopen(request, timeout=60) as answer:
    print(json.load(answer))
"""
JSON = """\
import base64
import json
import urllib.request

TOKEN = "{token}"
with open("{picture}", "rb") as file:
    body = {{"image_file": base64.b64encode(file.read()).decode()}}
request = urllib.request.Request(
    "{url}",
    data=json.dumps(body).encode(),
    headers={{"Authorization": f"Bearer {{TOKEN}}", "Content-Type": "application/json"}},
)
with urllib.request.urlopen(request, timeout=60) as answer:
    print(json.load(answer))
"""
TRITON = """\
# pip install "tritonclient[http]" numpy
import numpy as np
import tritonclient.http as client

TOKEN = "{token}"
with open("{picture}", "rb") as file:
    picture = file.read()
files = client.InferInput("image_file", [1], "BYTES")
files.set_data_from_numpy(np.array([picture], dtype=object))
server = client.InferenceServerClient("{host}"{secure})
answer = server.infer("{name}", [files], headers={{"Authorization": f"Bearer {{TOKEN}}"}})
print(answer.as_numpy("{output}"))
"""
