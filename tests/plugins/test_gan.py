"""The package `plugins/gan`: what generators start from, and what is shown of what they make."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.plugin_host import binding, rendering
from digits.plugin_host.view import DatasetView
from digits.testing import DataSourceContract, ViewContract

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "gan"))  # before an installed one, which may be older

import digits_data_gan as gan
import digits_view_gan as gan_view
from digits_data_gan.attribute_vectors import CELEBA, read_vectors
from digits_data_gan.files import read_list
from digits_data_gan.latent import between
from digits_view_gan.encodings import encoding_of
from digits_view_gan.pictures import range_of

NAMES = ("0 a.png", "1.png", "2.png", "3.png")


def write_pictures(folder: Path, size: tuple[int, int] = (20, 30)) -> Path:
    """Pictures of 20 by 30 pixels whose middle is as bright as their number says, the rest is white."""
    folder.mkdir()
    for number, name in enumerate(NAMES):
        pixels = np.full((*size[::-1], 3), 255, np.uint8)
        pixels[7:23, 2:18] = 50 * number
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def faces(tmp_path: Path) -> dict[str, str]:
    """Values for the form: pictures, and a list of two attributes as CelebA has it."""
    folder = write_pictures(tmp_path / "faces")
    rows = [f"{name} {1 if number % 2 else -1} {1 if number > 1 else -1}" for number, name in enumerate(NAMES)]
    (tmp_path / "list_attr_faces.txt").write_text("\n".join(["4", "Smiling Male", *rows]) + "\n")
    return {"image_folder": str(folder), "file_list": str(tmp_path / "list_attr_faces.txt")}


def asked(source: DataIngestionInterface, app: Flask, **values: Any) -> list[tuple[str, np.ndarray]]:
    """What the inference form gives to test with: names and features."""
    with binding.request_with(app, values):
        checked = binding.check(source.get_inference_form(), values)
    tester = userdata.for_inference(type(source), source.get_user_data(), checked)
    return [(str(entry), tester.encode_entry(entry)[0]) for entry in tester.itemize_entries("test_db")]


class TestGan(DataSourceContract):
    source = gan.DataIngestion
    inference_values = {"task_id": "class", "dataset_type": "mnist", "row_count": 3}

    @pytest.fixture
    def values(self, faces: dict[str, str]) -> dict[str, Any]:
        return {**faces, "center_crop_size": 16, "resize": 8}

    def test_the_middle_is_resized_and_attributes_are_the_label(self, instance: DataIngestionInterface) -> None:
        feature, label = instance.encode_entry(instance.itemize_entries("train_db")[3])
        assert (feature.shape, feature.dtype) == ((3, 8, 8), np.uint8)
        assert (feature == 150).all()  # without the white around it
        assert label.tolist() == [[[1, 1]]]
        assert instance.userdata["attribute_names"] == ["Smiling", "Male"]

    def test_sub_folders_may_be_classes_and_a_share_validates(self, app: Flask, tmp_path: Path) -> None:
        for name in ("2", "10"):
            (tmp_path / name).mkdir()
            for number in range(5):
                Image.new("L", (6, 6), number).save(tmp_path / name / f"{number}.png")
        source = made(app, image_folder=tmp_path, class_folders="y", center_crop_size="", resize="", folder_pct_val=20)
        train, val = (source.itemize_entries(stage) for stage in ("train_db", "val_db"))
        assert source.userdata["attribute_names"] == ["2", "10"]
        assert (len(train), len(val)) == (8, 2)
        assert not {str(one) for one in train} & {str(one) for one in val}
        feature, label = source.encode_entry(train[-1])
        assert (feature.shape, label.tolist()) == ((1, 6, 6), [[[0, 1]]])
        assert asked(source, app)[0][1].shape == (1, 1, 102)  # the form knows the two classes

    def test_a_listed_picture_outside_of_the_folder_is_none(self, app: Flask, faces: dict[str, str]) -> None:
        Path(faces["file_list"]).write_text("A B\n../secret.png 1 1\n1.png 1 -1\n")
        source = made(app, **faces)
        outside, inside = source.itemize_entries("train_db")
        source.encode_entry(inside)
        with pytest.raises(ValueError, match="does not lie in the folder"):
            source.encode_entry(outside)

    def test_the_download_is_recognised(self, faces: dict[str, str]) -> None:
        folder = Path(faces["file_list"]).parent
        (folder / "img_faces").mkdir()
        (folder / "faces").rename(folder / "img_faces" / "img_faces")  # as archives are unpacked
        (found,) = gan.DataIngestion.recognise(str(folder))
        assert found["values"] == {"file_list": faces["file_list"], "image_folder": str(folder / "img_faces" / "img_faces")}


def made(app: Flask, **values: Any) -> DataIngestionInterface:
    """A data source of the form."""
    with binding.request_with(app, values):
        return userdata.build(gan.DataIngestion, binding.check(gan.DataIngestion.get_dataset_form(), values))


@pytest.fixture
def app() -> Flask:
    found = Flask("digits.plugin_host")
    rendering.prepare(found)
    return found


@pytest.fixture
def source(app: Flask, faces: dict[str, str]) -> DataIngestionInterface:
    return made(app, **faces)


@pytest.mark.parametrize(
    "text",
    [
        "2\nSmiling Male\na b.png 1 -1\n1.png -1 1\n",
        "image_id,Smiling,Male\na b.png,1,-1\n1.png,-1,1\n",
        "a b.png 1 -1\n1.png -1 1",
    ],
    ids=["celeba", "kaggle", "no names"],
)
def test_lists_of_attributes(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text, encoding="utf-8-sig")
    found = read_list(tmp_path / "list")
    assert found.rows == [("a b.png", (1, -1)), ("1.png", (-1, 1))]
    assert found.names == (["Smiling", "Male"] if "Smiling" in text else ["attribute 0", "attribute 1"])


@pytest.mark.parametrize("text", ["", "7\n", "A B\n1.png 1 x\n", "A B C\n1.png 1 1\n2.png 1\n"])
def test_what_is_no_list_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(ValueError, match="list"):
        read_list(tmp_path / "list")


def test_a_way_between_two_vectors_keeps_their_length() -> None:
    first, second = np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    middle = between(0.5, first, second)
    np.testing.assert_allclose(middle, [np.sqrt(2), np.sqrt(2), 0])
    np.testing.assert_allclose(between(0.3, first, first), first)
    np.testing.assert_allclose(between(0.25, first, np.zeros(3)), 0.75 * first)


def test_a_class_sweep_has_a_column_for_each_class(source: DataIngestionInterface, app: Flask) -> None:
    z = " ".join(str(number / 10) for number in range(100))
    found = asked(source, app, task_id="class", dataset_type="mnist", row_count=3, class_z_vector=z)
    assert [name for name, _ in found][:2] == ["row 01, column 01: class 0 to 1", "row 01, column 02: class 1 to 2"]
    features = np.array([feature.ravel() for _, feature in found]).reshape(3, 10, 110)
    assert (features[:, :, :100] == np.arange(100, dtype=np.float32) / 10).all()
    np.testing.assert_array_equal(features[0, :, 100:], np.eye(10))
    np.testing.assert_array_equal(features[1, :, 100:], (np.eye(10) + np.roll(np.eye(10), 1, axis=1)) / 2)


def test_a_style_sweep_goes_from_one_vector_to_the_other(source: DataIngestionInterface, app: Flask) -> None:
    ends = {"style_z1_vector": "[1, 0, 0]", "style_z2_vector": "0 1 0"}
    found = asked(source, app, task_id="style", z_dim=3, class_count=2, row_count=5, **ends)
    features = np.array([feature.ravel() for _, feature in found]).reshape(5, 2, 5)
    np.testing.assert_allclose(features[[0, 2, 4], 0, :3], [[1, 0, 0], [np.sqrt(0.5), np.sqrt(0.5), 0], [0, 1, 0]], atol=1e-6)
    alone = asked(source, app, task_id="style", z_dim=3, class_count=0, row_count=5, **ends)
    assert [name for name, _ in alone] == [f"row 1, column {number}" for number in range(1, 6)]


def test_an_analogy_has_its_answer_in_the_corner(source: DataIngestionInterface, app: Flask) -> None:
    given = {"attributes_z1_vector": "1 0 0", "attributes_z2_vector": "0 1 0", "attributes_z3_vector": "1 0 1"}
    found = asked(source, app, task_id="analogy", dataset_type="celeba", z_dim=3, row_count=4, **given)
    corners = [found[place][1].ravel().tolist() for place in (0, 3, 12, 15)]
    assert corners == [[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]]


def test_a_film_comes_back_to_its_begin(source: DataIngestionInterface, app: Flask) -> None:
    values = {"task_id": "animation", "z_dim": 2, "animation_z_vectors": "1 0\n0 1\n", "animation_num_transitions": 4}
    found = asked(source, app, **values)
    assert [found[step][1].ravel().round(6).tolist() for step in (0, 4)] == [[1, 0], [0, 1]]
    np.testing.assert_allclose(found[6][1].ravel(), np.sqrt([0.5, 0.5]), rtol=1e-6)
    assert len(asked(source, app, task_id="animation")) == 40  # four random vectors, ten steps each


@pytest.mark.parametrize("kind", ["json", "npz", "pkl", "python 2"])
def test_attributes_are_added_by_their_vectors(source: DataIngestionInterface, app: Flask, tmp_path: Path, kind: str) -> None:
    vectors = np.eye(40, 100, dtype=np.float32)
    file = tmp_path / "vectors"
    if kind == "json":
        file.write_text(json.dumps({"attributes": {name: row.tolist() for name, row in zip(CELEBA, vectors, strict=True)}}))
    elif kind == "npz":
        np.savez(tmp_path / "vectors.npz", **dict(zip(CELEBA, vectors, strict=True)))
        file = tmp_path / "vectors.npz"
    else:
        dumped = pickle.dumps(dict(enumerate(vectors)) if kind == "pkl" else vectors, protocol=2)
        file.write_bytes(dumped.replace(b"numpy._core", b"numpy.core") if kind == "python 2" else dumped)
    values = {"task_id": "attributes", "dataset_type": "celeba", "attributes_z_vector": " ".join(["0"] * 100)}
    lines = "0.5 0 0 0 2\nSmiling=1, Male=-1\n"
    found = asked(source, app, **values, attributes_file=["", str(file)], attributes_params=lines)  # the view's field is empty
    (_, first), (_, second) = found
    assert {CELEBA[i]: first[0, 0, i] for i in first.ravel().nonzero()[0]} == {"Bald": 0.5, "Smiling": 2}
    assert {CELEBA[i]: second[0, 0, i] for i in second.ravel().nonzero()[0]} == {"Smiling": 1, "Male": -1}
    each = asked(source, app, **values, attributes_file=str(file), row_count=3)
    assert len(each) == 120
    assert each[2][0] == "row 01, column 03: 5_o_Clock_Shadow +1.00"


def test_a_pickle_that_runs_something_is_no_file_of_vectors(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match="which is no array"):
        read_vectors(tmp_path / "bad.pkl")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task_id": "class", "dataset_type": "celeba"}, "number of classes"),
        ({"task_id": "genimg", "dataset_type": "celeba", "genimg_z_vector": "1 2"}, "100 numbers is expected, found 2"),
        ({"task_id": "genimg", "dataset_type": "celeba", "genimg_z_vector": "1 two"}, "found 'two'"),
        ({"task_id": "genimg", "dataset_type": "mnist", "genimg_class_id": 10}, "no class 10"),
        ({"task_id": "animation", "animation_z_vectors": " ".join(["1"] * 100)}, "two vectors at least"),
        ({"task_id": "attributes"}, "name the file"),
        ({"task_id": "enclist"}, "name the folder"),
        ({"task_id": "class", "dataset_type": "mnist", "class_count": 1000, "row_count": 100}, "at most 10,000"),
    ],
)
def test_what_cannot_be_generated_is_said(source: DataIngestionInterface, app: Flask, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(source, app, **values)


def test_pictures_are_encoded_as_the_data_set_cuts_them(
    source: DataIngestionInterface, app: Flask, faces: dict[str, str]
) -> None:
    values = {"task_id": "enclist", "enc_image_folder": faces["image_folder"]}
    assert [feature.shape for _, feature in asked(source, app, **values, enc_num_images=2)] == [(3, 64, 64)] * 2
    assert len(asked(source, app, **values, enc_file_list=faces["file_list"])) == 4


# -- the view -----------------------------------------------------------------------------------------------------------


class TestGanView(ViewContract):
    view = gan_view.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 8, 8)}


class TestEncoderView(ViewContract):
    view = gan_view.Visualization
    option_values = {"gan_view_task_id": "mnist_encoder"}

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.arange(388, dtype=np.float32)}


def shown(
    app: Flask, samples: list[tuple[str, np.ndarray, dict[str, np.ndarray], Any]], kept: dict[str, Any], **options: Any
) -> list[str]:
    """What the view makes of names, inputs, outputs and labels: the header, then each sample."""
    with binding.request_with(app, options):
        view = gan_view.Visualization(
            DatasetView(extension_userdata=kept), **binding.check(gan_view.Visualization.get_config_form(), options)
        )
        parts = []
        for number, (name, entry, outputs, label) in enumerate(samples):
            data = view.process_data(number, entry, outputs, ground_truth=label, input_name=name)
            parts.append(rendering.render("image-gan", *view.get_view_template(data), nonce="x"))
        return [rendering.render("image-gan", *view.get_header_template(), nonce="x"), *parts]


def pixels_of(address: str) -> np.ndarray:
    """The pixels of a `data:` address."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_the_grid_lies_as_its_names_say_in_one_range_of_values(app: Flask) -> None:
    entry = np.zeros((1, 5), np.float32)
    values = {"row 1, column 1": -1.0, "row 1, column 2": 0.0, "row 2, column 1": 0.5, "row 2, column 2": 1.0}
    samples = [(name, entry, {"output": np.full((3, 4, 4), value)}, None) for name, value in values.items()]
    header, *parts = shown(app, samples, {})
    assert not any(parts)
    assert re.findall(r"grid-area: (\d) / (\d)", header) == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]
    addresses = re.findall(r'<button[^>]*><img src="([^"]+)"', header)
    assert [pixels_of(one)[0, 0, 0] for one in addresses] == [0, 128, 191, 255]  # of -1 to 1
    assert 'data-order="[0, 2, 1, 3]"' in header  # the film goes down the columns
    assert "prefers-reduced-motion" in header
    film = Image.open(io.BytesIO(base64.b64decode(re.findall(r"data:image/gif;base64,([^\"]+)", header)[0])))
    assert film.n_frames == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ((0.1, 0.9), (0, 1)),
        ((-0.2, 0.9), (-1, 1)),
        ((3, 200), (0, 255)),
        ((0, 3.2), (0, 3.2)),  # in units of the data's deviation
        ((-4, 700), (-4, 700)),
        ((np.nan, 0.5), (0, 1)),
        ((np.nan,), (0, 1)),
    ],
)
def test_values_lie_in_a_range_that_networks_have_or_in_their_own(values: tuple[float, ...], limits: tuple[float, float]) -> None:
    assert range_of([np.array(values)]) == limits


def test_entries_of_other_plugins_fill_rows_of_ten(app: Flask) -> None:
    samples = [(f"{number:09d}", np.zeros((1, 5)), {"output": np.eye(4)[None]}, None) for number in range(20)]
    assert "grid-area: 2 / 10" in shown(app, samples, {})[0]


@pytest.mark.parametrize("form", ["one output", "two outputs"])
def test_an_encoding_is_shown_with_what_is_made_of_it(form: str) -> None:
    picture, code = np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.array([1.0, 2])
    chw = picture.transpose(2, 0, 1)
    outputs = (
        {"output": np.concatenate([code, chw.ravel()])}
        if form == "one output"
        else {"output": chw, "real": np.zeros(1), "code": code}
    )
    found, again = encoding_of(outputs, picture)
    assert found.tolist() == [1, 2]
    np.testing.assert_array_equal(again, picture)


def test_attributes_become_vectors_that_the_data_plugin_reads(app: Flask, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = np.array([(smiles, male) for smiles in (-1, 1) for male in (-1, 1)] * 5)
    codes = (
        rng.normal(size=(20, 4)) * 0.01
        + np.where(labels[:, :1] > 0, [[2, 0, 0, 0]], 0)
        + np.where(labels[:, 1:] > 0, [[0, 3, 0, 0]], 0)
    )
    picture = np.zeros((4, 4, 3), np.uint8)
    samples = [
        (str(n), picture, {"output": code}, label.reshape(1, 1, 2))
        for n, (code, label) in enumerate(zip(codes, labels, strict=True))
    ]
    kept = {"attribute_names": ["Smiling", "Male"]}
    header, *_ = shown(app, samples, kept, gan_view_task_id="attributes")
    assert header.count("10 of 20") == 2
    assert header.count("100 %") == 2
    file = tmp_path / "attributes.json"
    file.write_bytes(base64.b64decode(re.findall(r"data:application/json;base64,([^\"]+)", header)[0]))
    found = read_vectors(file)
    assert found.names == ["Smiling", "Male"]
    np.testing.assert_allclose(found.vectors, [[2, 0, 0, 0], [0, 3, 0, 0]], atol=0.05)
    smiling = next(n for n, label in enumerate(labels) if tuple(label) == (1, -1))
    card = shown(app, samples, kept, gan_view_task_id="attributes", attributes_file=str(file))[1 + smiling]
    assert card.index("Smiling") < card.index("Male")
    assert "1.00" in card


def test_an_output_that_is_no_picture_says_what_to_choose(app: Flask) -> None:
    with pytest.raises(ValueError, match="show it as encodings"):
        shown(app, [("a", np.zeros((4, 4)), {"output": np.zeros(7)}, None)], {})
