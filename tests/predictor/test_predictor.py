"""The predictor: pictures of every sort become predictions or a sentence that helps, also when many ask at once."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from digits.errors import BadRequest, Conflict, DigitsError, LimitExceeded, LoadImageError
from digits.ipc import message_server, messages
from digits.ipc.scratch import StoredArray, scratch_folder
from digits.predictor import pictures, server
from digits.predictor.model import LoadedModel
from digits.service.evaluations.predict import infer
from digits.service.models.snapshots import Snapshot
from digits.storage.folders import JobsDir
from tests.builders import make_job
from tests.predictor.fake_engine import FakeEngine, write_snapshot
from tests.waiting import wait_for


@pytest.fixture
def model(tmp_path):
    return LoadedModel(FakeEngine(), write_snapshot(tmp_path / "snapshot"), "cpu")


@pytest.fixture
def address(model, tmp_path, monkeypatch):
    monkeypatch.setattr(message_server, "ACCEPT_SECONDS", 0.02)
    stop = threading.Event()
    path = tmp_path / "p.sock"
    thread = threading.Thread(target=server.serve, args=(model, path, stop, JobsDir(tmp_path).scratch))
    thread.start()
    wait_for(path.exists)
    yield path
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert not path.exists()


def encoded(array, format="PNG", mode=None, **options) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(array))
    (image.convert(mode) if mode else image).save(buffer, format, **options)
    return buffer.getvalue()


def request_files(address, *files: bytes, **switches) -> messages.Message:
    arrays = {f"p{i}": np.frombuffer(f, dtype=np.uint8) for i, f in enumerate(files)}
    header = {"op": "predict", "pictures": [{"file": name} for name in arrays], **switches}
    return messages.call(address, messages.Message(header, arrays), timeout=30)


def grey(level: int, size: int = 8) -> np.ndarray:
    return np.full((size, size), level, dtype=np.uint8)


def best(answer: messages.Message, number: int = 0) -> int:
    return int(answer.arrays[f"{number}/output/output"].argmax())


def test_a_picture_is_classified_as_its_brightness_says(address):
    for level, expected in ((10, 0), (120, 1), (250, 2)):
        answer = request_files(address, encoded(grey(level, 40)), image=True, input=True)
        assert best(answer) == expected
        assert answer.arrays["0/input"].tolist() == grey(level)[None].tolist()
        shown = np.asarray(Image.open(io.BytesIO(answer.arrays["0/image"].tobytes())))
        assert shown.tolist() == grey(level).tolist()
        assert answer.header["device"] == "cpu"
        assert answer.header["meta"]["class_labels"] == ["dark", "middle", "bright"]


def test_a_path_and_a_feature_are_taken_too(address, tmp_path):
    path = tmp_path / "ä b.png"
    path.write_bytes(encoded(grey(200)))
    header = {"op": "predict", "pictures": [{"path": str(path)}, {"feature": "f"}]}
    answer = messages.call(address, messages.Message(header, {"f": grey(0)[None]}))
    assert (best(answer, 0), best(answer, 1)) == (2, 0)


def test_a_link_that_leads_out_of_the_allowed_folders_by_now_is_not_followed(address, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.png").write_bytes(encoded(grey(200)))
    (tmp_path / "in/turned.png").symlink_to(tmp_path / "out.png")
    header = {"op": "predict", "pictures": [{"path": str(tmp_path / "in/turned.png")}], "roots": [str(tmp_path / "in")]}
    with pytest.raises(DigitsError, match="outside the folders"):
        messages.call(address, messages.Message(header))
    assert best(messages.call(address, messages.Message({**header, "roots": [str(tmp_path)]}))) == 2


def odd_pictures() -> dict[str, bytes]:
    bright = np.full((30, 20, 3), 230, dtype=np.uint8)
    alpha = np.full((30, 20, 4), 0, dtype=np.uint8)  # fully transparent black: white when shown
    palette = io.BytesIO()
    Image.fromarray(bright).convert("P").save(palette, "PNG", transparency=0)
    animated = io.BytesIO()
    frames = [Image.fromarray(grey(230, 20)), Image.fromarray(grey(0, 20))]
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    return {
        "CMYK": encoded(bright, "JPEG", "CMYK"),
        "palette and alpha": palette.getvalue(),
        "transparent": encoded(alpha),
        "16 bit": encoded(np.full((9, 9), 60000, dtype=np.uint16)),
        "animated GIF": animated.getvalue(),
        "one bit": encoded(grey(255), mode="1"),
        "WebP": encoded(bright, "WEBP"),
        "TIFF": encoded(bright, "TIFF"),
    }


@pytest.mark.parametrize("kind", odd_pictures())
def test_unusual_pictures_are_read(address, kind):
    assert best(request_files(address, odd_pictures()[kind])) == 2


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


BROKEN = {
    "empty": b"",
    "text": b"I am no picture\n" * 20,
    "truncated JPEG": encoded(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8), "JPEG")[:1500],
    "truncated PNG": encoded(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8))[:500],
    "bomb": bomb(),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_picture_is_refused_with_a_reason(address, kind):
    with pytest.raises(LoadImageError) as caught:
        request_files(address, BROKEN[kind])
    assert len(caught.value.message) > 20


def test_one_bad_picture_among_several_costs_only_itself(address):
    answer = request_files(address, encoded(grey(10)), BROKEN["text"], encoded(grey(250)))
    assert "error" in answer.header["results"][1]
    assert (best(answer, 0), best(answer, 2)) == (0, 2)


def test_layers_come_with_statistics_and_pictures(address):
    answer = request_files(address, encoded(grey(99)), layers=True)
    weights, activations = answer.header["layers"]
    assert (weights["name"], weights["vis_type"], weights["param_count"]) == ("conv", "Weights", 45)
    assert weights["data_stats"]["shape"] == [5, 1, 3, 3]
    assert weights["data_stats"]["mean"] == pytest.approx(22)
    assert activations["vis_type"] == "Activation"
    counts, centres, ticks = activations["data_stats"]["histogram"]
    assert (sum(counts), len(counts), len(centres)) == (5 * 64, 20, 20)
    assert ticks[0] < centres[0] < ticks[1] < centres[-1] < ticks[2]
    for number in (0, 1):
        width, height = Image.open(io.BytesIO(answer.arrays[f"layer/{number}"].tobytes())).size
        assert 100 <= max(width, height) <= 1200


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"op": "rm -rf"},
        {"op": "predict"},
        {"op": "predict", "pictures": []},
        {"op": "predict", "pictures": [7]},
        {"op": "predict", "pictures": [{"file": "absent"}]},
        {"op": "predict", "pictures": [{"path": "/absent/picture.png"}]},
    ],
    ids=range(7),
)
def test_requests_that_make_no_sense_are_answered(address, header):
    with pytest.raises(DigitsError) as caught:
        messages.call(address, messages.Message(header))
    assert caught.value.message
    assert caught.value.status == 400


def test_a_feature_of_the_wrong_size_says_what_is_needed(address):
    header = {"op": "predict", "pictures": [{"feature": "f"}]}
    with pytest.raises(DigitsError, match="9×9.*8×8|8×8.*9×9"):
        messages.call(address, messages.Message(header, {"f": grey(0, 9)[None]}))


def test_large_arrays_stay_in_files_and_may_be_named_again(address, tmp_path, monkeypatch):
    monkeypatch.setattr("digits.ipc.scratch.SMALL_BYTES", 16)
    jobs_dir = JobsDir(tmp_path)
    jobs_dir.prepare()
    with scratch_folder(jobs_dir) as folder:
        header = {"op": "predict", "pictures": [{"file": "p"}], "input": True, "scratch": str(folder)}
        picture = {"p": np.frombuffer(encoded(grey(99)), np.uint8)}
        first = messages.call(address, messages.Message(header, picture), scratch=jobs_dir.scratch)
        kept = first.arrays["0/input"]
        assert isinstance(kept, StoredArray)
        assert kept.path.parent == folder
        again = messages.Message({"op": "predict", "pictures": [{"feature": "f"}]}, {"f": kept})
        assert best(messages.call(address, again)) == best(request_files(address, encoded(grey(99))))
    assert list(jobs_dir.scratch.iterdir()) == []


@pytest.mark.parametrize("folder", ["/tmp", "..", "/etc", "missing", ".digits/scratch", ".digits/scratch/a/b"])
def test_answers_are_written_to_scratch_folders_alone(address, tmp_path, folder):
    header = {"op": "predict", "pictures": [{"file": "p"}], "scratch": str(tmp_path / folder)}
    with pytest.raises(BadRequest, match="no scratch folder"):
        messages.call(address, messages.Message(header, {"p": np.frombuffer(encoded(grey(9)), np.uint8)}))


def test_garbage_on_the_socket_costs_only_its_connection(address):
    for raw in (b"GET / HTTP/1.0\r\n\r\n", b"DGW1", os.urandom(500), messages.PREFIX.pack(messages.MAGIC, 2, 2**40) + b"{}"):
        with messages.connect(address) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(10) == b""
    assert best(request_files(address, encoded(grey(250)))) == 2


def test_many_may_ask_at_once_and_each_gets_its_own_answer(address):
    levels = [(10, 0), (120, 1), (250, 2)] * 20
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda pair: best(request_files(address, encoded(grey(pair[0])))), levels))
    assert answers == [expected for _, expected in levels]


def test_one_connection_carries_several_requests(address):
    with messages.connect(address) as connection:
        for _ in range(3):
            messages.send(connection, messages.Message({"op": "ping"}))
            assert messages.receive(connection).header["device"] == "cpu"


def test_only_this_user_may_connect(address):
    assert os.stat(address).st_mode & 0o077 == 0


def test_a_full_gpu_sends_the_model_to_the_cpu(tmp_path):
    engine = FakeEngine()
    model = LoadedModel(engine, write_snapshot(tmp_path / "s"), "cuda:7")
    assert engine.loaded == ["cuda:7", "cpu"]
    assert model.device == "cpu"


def test_a_gpu_that_fills_up_later_sends_the_model_to_the_cpu(tmp_path, monkeypatch):
    engine = FakeEngine()
    model = LoadedModel(engine, write_snapshot(tmp_path / "s"), "cuda:0")

    def full(batch):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(model._predictor, "predict", full)
    assert model.predict(grey(250)[None, None])["output"].argmax() == 2
    assert model.device == "cpu"


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 7.5 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_in_the_network_is_a_limit_and_no_fault_of_the_server(model, address, monkeypatch, error):
    def full(batch):
        raise error

    monkeypatch.setattr(model._predictor, "predict", full)
    for ask in (
        lambda: request_files(address, encoded(grey(250))),
        lambda: messages.call(address, messages.Message({"op": "forward"}, {"batch": grey(250)[None, None]}), timeout=30),
    ):
        with pytest.raises(LimitExceeded, match="more memory than there is") as found:
            ask()
        assert "DIGITS_PROCESS_MEMORY_MB" in found.value.advice
        assert found.value.status == 400


def test_a_gpu_is_not_left_for_what_no_memory_of_the_machine_would_hold(tmp_path, monkeypatch):
    engine = FakeEngine()
    model = LoadedModel(engine, write_snapshot(tmp_path / "s"), "cuda:0")

    def full(batch):
        raise MemoryError

    monkeypatch.setattr(model._predictor, "predict", full)
    with pytest.raises(MemoryError):
        model.predict(grey(250)[None, None])
    assert model.device == "cuda:0"


def test_one_picture_that_takes_too_much_memory_costs_only_itself(address, monkeypatch, tmp_path):
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(50 << 30)
    feature = pictures.Preparer.prepared

    def greedy(self, source):
        if isinstance(source, bytes):
            raise MemoryError
        return feature(self, source)

    monkeypatch.setattr(pictures.Preparer, "prepared", greedy)
    Image.fromarray(grey(250)).save(tmp_path / "a.png")
    named = [{"path": str(tmp_path / name)} for name in ("huge.png", "a.png")]
    header = {"op": "predict", "pictures": [*named, {"file": "p"}]}
    answer = messages.call(address, messages.Message(header, {"p": np.zeros(9, np.uint8)}), timeout=30)
    huge, good, greedy_one = answer.header["results"]
    assert "at most 1.5 are read" in huge["error"]
    assert best(answer, 1) == 2
    assert "more memory than there is" in greedy_one["error"]
    assert "error" not in good


def test_an_answer_of_another_epoch_than_the_one_that_was_chosen_is_none(address, service, monkeypatch):
    """As where a training writes its best snapshot anew between the choice and the loading."""
    monkeypatch.setattr("digits.service.evaluations.predict._predictor", lambda *_: address)
    model = make_job(service)
    for snapshot in (Snapshot(1.0, "snapshots/best.safetensors"), Snapshot(5.0, "snapshots/epoch_5.safetensors")):
        assert infer(service, model, [encoded(grey(250, 40))], snapshot).meta["epoch"] == 1.0
    with pytest.raises(Conflict, match=r"best snapshot of .* is of epoch 1 by now, no longer of 5. Ask again."):
        infer(service, model, [encoded(grey(250, 40))], Snapshot(5.0, "snapshots/best.safetensors"))
