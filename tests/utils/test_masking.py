"""Passwords in addresses are never shown."""

from __future__ import annotations

import logging
import time

import pytest

from digits.utils.masking import MaskedFormatter, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://ada:s3cret@db.lab:5432/digits", "postgresql+psycopg://ada:***@db.lab:5432/digits"),
        ("postgresql://ada:s3/cr@et@db.lab/digits?sslmode=require", "postgresql://ada:***@db.lab/digits?sslmode=require"),
        ("postgresql://ada:12345@db.lab/digits", "postgresql://ada:***@db.lab/digits"),
        ("postgresql:///digits?user=ada&password=s3cret&host=db", "postgresql:///digits?user=ada&password=***&host=db"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=***"),
        ("redis://:s3cret@cache", "redis://:***@cache"),
        ("https://shop.example/a?X-Amz-Signature=s3cret&n=1", "https://shop.example/a?X-Amz-Signature=***&n=1"),
        ("/srv/shop, https://ada:s3cret@shop.example/a", "/srv/shop, https://ada:***@shop.example/a"),
        ("http_proxy=http://ada:s3cret@proxy:3128, https://bo:s3cret@x", "http_proxy=http://ada:***@x"),
        ("refused by 'http://ada:s3'cret@proxy:3128'", "refused by 'http://ada:***@proxy:3128'"),
        ("http://host:8080/a@b and http://host/?token=s3cret", "http://host:8080/a@b and http://host/?token=***"),
        ("sqlite:////tmp/a:b@c", "sqlite:////tmp/a:b@c"),
        ("nothing: to@mask", "nothing: to@mask"),
    ],
)
def test_a_password_is_masked_and_the_rest_stays(text: str, shown: str) -> None:
    assert masked(text).endswith(shown.rpartition("@")[2])
    assert "s3" not in masked(text)
    assert "cret" not in masked(text)
    if "bo:" not in text:
        assert masked(text) == shown


def test_a_whole_address_may_have_a_password_with_blanks() -> None:
    assert masked("postgresql://ada:s3 cr et@db/digits", whole=True) == "postgresql://ada:***@db/digits"
    assert masked("postgresql:/ada:s3cret@db/digits", whole=True) == "postgresql:/ada:***@db/digits"
    assert masked("ada:s3:cret@db/digits", whole=True) == "ada:***@db/digits"
    assert masked("sqlite:////home/digits.sqlite", whole=True) == "sqlite:////home/digits.sqlite"


@pytest.mark.parametrize("piece", ["a.", "a://b:", "http://a:1", "&password", "?a_", "://", "x@", "a+"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    masked("=://" + piece * 50_000)
    assert time.process_time() - started < 2


def test_lines_of_a_log_and_their_traces() -> None:
    try:
        raise OSError("cannot reach postgresql://ada:s3cret@db/digits")
    except OSError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "url %s", ("http://a:s3cret@b",), (OSError, error, error.__traceback__)
        )
    text = MaskedFormatter("%(message)s").format(record)
    assert "s3cret" not in text
    assert text.startswith("url http://a:***@b\nTraceback")
    assert "postgresql://ada:***@db/digits" in text
