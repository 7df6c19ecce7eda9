"""The protocol between predictor and callers: what goes in comes out, and garbage costs an error and nothing else."""

import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digits.ipc import messages

DTYPES = ("<u1", "<u2", "<i4", "<i8", "<f4", "<f8", "?")


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.settimeout(5)
    right.settimeout(5)
    yield left, right
    left.close()
    right.close()


def exchange(message: messages.Message) -> messages.Message:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(10)
        right.settimeout(10)
        sender = threading.Thread(target=messages.send, args=(left, message))
        sender.start()
        try:
            return messages.receive(right)
        finally:
            sender.join()


def answer_to(raw: bytes, scratch: Path | None = None) -> messages.CommunicationError:
    left, right = socket.socketpair()
    with left, right:
        right.settimeout(5)
        left.sendall(raw)
        left.shutdown(socket.SHUT_WR)
        with pytest.raises(messages.CommunicationError) as caught:
            messages.receive(right, max_body=1 << 20, scratch=scratch)
    return caught.value


def frame(header: object, body: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return messages.PREFIX.pack(messages.MAGIC, len(raw), len(body)) + raw + body


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(np.dtype(d), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))),
        max_size=4,
    )
)
def test_arrays_come_out_as_they_went_in(arrays):
    sent = {f"array {i}": array for i, array in enumerate(arrays)}
    received = exchange(messages.Message({"op": "x", "text": "ä\n"}, sent))
    assert received.header == {"op": "x", "text": "ä\n"}
    assert list(received.arrays) == list(sent)
    for name, array in sent.items():
        assert received.arrays[name].shape == array.shape
        assert received.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(received.arrays[name], array)


def test_big_endian_and_strided_arrays_arrive_with_their_values():
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::3]
    received = exchange(messages.Message({}, {"a": array})).arrays["a"]
    np.testing.assert_array_equal(received, array)
    assert received.dtype == np.dtype("<f4")


def test_objects_are_not_sent(pair):
    with pytest.raises(ValueError, match="cannot be sent"):
        messages.send(pair[0], messages.Message({}, {"a": np.array([{"a": 1}], dtype=object)}))


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"DG",
        frame({"op": "x"})[:-1],
        frame(b"{not json"),
        frame(b"[]"),
        frame(b"\xff\xfe{}"),
        frame(b"[" * 200_000),
        frame({"arrays": 7}),
        frame({"arrays": ["a"]}),
        frame({"arrays": [{"name": "a", "dtype": "|O", "shape": [1]}]}, b"12345678"),
        frame({"arrays": [{"name": "a", "dtype": "S4", "shape": [1]}]}, b"1234"),
        frame({"arrays": [{"name": "a", "dtype": "f4,f4", "shape": [1]}]}, b"12345678"),
        frame({"arrays": [{"name": "a", "dtype": "(2,)f4", "shape": [1]}]}, b"12345678"),
        frame({"arrays": [{"name": "a", "dtype": "nonsense", "shape": [1]}]}, b"1"),
        frame({"arrays": [{"name": "a", "dtype": "<f4", "shape": [-1]}]}, b"1234"),
        frame({"arrays": [{"name": "a", "dtype": "<f4", "shape": "1"}]}, b"1234"),
        frame({"arrays": [{"name": "a", "dtype": "<f4", "shape": [2**30, 2**30]}]}, b"1234"),
        frame({"arrays": [{"name": "a", "dtype": "<f4", "shape": [2]}]}, b"1234"),
        frame({"arrays": []}, b"1234"),
        struct.pack(">4sIQ", b"DGW1", 0xFFFFFFFF, 0),
        struct.pack(">4sIQ", b"DGW1", 2, 2**63) + b"{}",
    ],
    ids=range(21),
)
def test_garbage_is_refused(raw):
    assert str(answer_to(raw))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_without_another_error(raw, with_magic):
    assert str(answer_to((messages.MAGIC + raw) if with_magic else b"x" + raw))


def test_a_body_that_is_announced_but_never_comes_takes_no_memory():
    header = json.dumps({"arrays": [{"name": "a", "dtype": "|u1", "shape": [1 << 20]}]}).encode()
    assert "stopped after 0 of" in str(answer_to(messages.PREFIX.pack(messages.MAGIC, len(header), 1 << 20) + header))


def test_an_end_between_frames_is_no_error(pair):
    left, right = pair
    messages.send(left, messages.Message({"n": 1}))
    left.shutdown(socket.SHUT_WR)
    assert messages.receive_or_end(right).header == {"n": 1}
    assert messages.receive_or_end(right) is None


def test_silence_ends_in_a_time_out(pair):
    pair[1].settimeout(0.05)
    with pytest.raises(messages.CommunicationError, match=r"within 0\.05 s"):
        messages.receive(pair[1])


def test_nobody_listening_says_where(tmp_path):
    with pytest.raises(messages.CommunicationError, match="No process listens"):
        messages.call(tmp_path / "no.sock", messages.Message({}))


def test_messages_without_arrays_need_no_numpy() -> None:
    """The web process loads it with the first picture, not with its first page."""
    program = """
import socket, sys
from digits.ipc import messages
left, right = socket.socketpair()
messages.send(left, messages.Message({"a": 1}))
assert messages.receive(right).header == {"a": 1}
print("numpy" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
