"""The documentation at /docs: every page and every link of it, its files, its search."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from digits.web import documentation

ROOT = Path(__file__).resolve().parents[2]
TARGETS = re.compile(r'(?:href|src)="([^"]+)"')


def test_every_page_and_every_link_of_it(client: FlaskClient) -> None:
    names = [f"{name}.md" for name in documentation.pages()]
    assert {"getting-started.md", "rest.md", "examples/gan.md"} <= set(names)
    asked: dict[str, str] = {}
    for name in names:
        article = client.get(f"/docs/{name}").text.split('<article class="card prose">')[1].split("</article>")[0]
        for target in TARGETS.findall(article):
            if "://" in target or target.startswith("/"):
                continue
            path, _, anchor = target.partition("#")
            address = str(Path(f"/docs/{name}").parent / path) if path else f"/docs/{name}"
            address = re.sub(r"/[^/]+/\.\.(?=/)", "", address)
            if address not in asked:
                with client.get(address) as answer:
                    assert answer.status_code == 200, (name, target)
                    asked[address] = answer.get_data(as_text=True) if address.endswith(".md") else ""
            assert not anchor or f'id="{anchor}"' in asked[address], (name, target)
    assert len(asked) > 30


def test_files_beside_the_pages_are_shown_as_text(client: FlaskClient) -> None:
    with client.get("/docs/samples/gan.py") as answer:
        assert answer.mimetype == "text/plain"
        assert answer.data == (ROOT / "docs/samples/gan.py").read_bytes()
    with client.get("/docs/images/home.png") as answer:
        assert answer.mimetype == "image/png"
    for outside in ("../README.md", "..%2fREADME.md", "nothing.md", "nothing", "%2fetc/passwd"):
        assert client.get(f"/docs/{outside}", follow_redirects=True).status_code == 404, outside


def test_short_addresses_lead_to_pages(client: FlaskClient) -> None:
    assert client.get("/docs").headers["Location"].endswith("/docs/")
    assert client.get("/docs/").headers["Location"].endswith("/docs/getting-started.md")
    assert client.get("/docs/rest").headers["Location"].endswith("/docs/rest.md")


def test_a_search_finds_sections_with_all_words(client: FlaskClient) -> None:
    found = client.get("/docs/index.json?q=warm-up+cosine").json["sections"]
    assert found
    for section in found:
        page = client.get(section["url"].split("#")[0]).text.lower()
        assert "warm-up" in page
        assert "cosine" in page
    assert client.get("/docs/index.json?q=segmentation").json["sections"][0]["title"].lower().startswith("segmentation")
    assert "No page has all of these words" in client.get("/docs/?q=zebra+<b>").text
    assert "&lt;b&gt;" in client.get("/docs/?q=zebra+<b>").text


def test_headings_have_the_anchors_that_texts_link_to() -> None:
    html, sections = documentation.render("# A page\n\none `two`\n\n## Ready, `set`: go!\n\nx\n\n## Ready, set go\n\n<b>no</b>")
    assert [section.anchor for section in sections] == ["a-page", "ready-set-go", "ready-set-go-1"]
    assert [section.text for section in sections] == ["one two", "x", "<b>no</b>"]
    assert "<b>" not in html


@pytest.mark.parametrize(("address", "name"), [("/", "jobs"), ("/datasets/images/classification/new", "datasets")])
def test_each_area_links_to_its_page(client: FlaskClient, address: str, name: str) -> None:
    assert f'href="/docs/{name}.md"' in client.get(address).text


def test_every_area_names_a_page_that_exists() -> None:
    assert set(documentation.OF_AREAS.values()) <= set(documentation.pages())


def test_the_list_has_every_page_once() -> None:
    groups = documentation.groups()
    assert sorted(name for group in groups.values() for name in group) == sorted(documentation.pages())
    assert next(iter(groups["Use"])) == documentation.FIRST


def test_places_are_forms_that_open(client: FlaskClient) -> None:
    places = client.get("/places.json").json["places"]
    assert len(places) >= 4
    for place in places[:4]:
        assert client.get(place["url"]).status_code == 200, place
