"""Values of random files against pydicom's own functions: modality tables and rescaling, windows and VOI tables, palettes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.sequence import Sequence as Items

from digits.errors import DataError
from digits.extensions.data.dicom import pixels
from digits.extensions.data.dicom.pixels import Windowing, read_frame
from digits.extensions.data.dicom.tables import Window, own_share
from tests.extensions.data.dicom.making import item
from tests.extensions.data.test_dicom import write

FEW = settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPE = (3, 5)


@st.composite
def stored(draw: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Random pixels and what the header says of their bits."""
    allocated = draw(st.sampled_from([8, 16]))
    bits = draw(st.integers(2, allocated))
    signed = draw(st.booleans())
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = np.array(draw(st.lists(st.integers(low, high), min_size=15, max_size=15))).reshape(SHAPE)
    kind = np.dtype(f"<{'i' if signed else 'u'}{allocated // 8}")
    data = values.astype(kind).tobytes()
    tags = {"BitsAllocated": allocated, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    return values, {**tags, "PixelData": data + b"\0" * (len(data) % 2)}


def lookup(draw: Any, signed: bool) -> Dataset:
    """A random table; pydicom reads one of more entries than its numbers have only where these have 16 bits."""
    count, first = draw(st.integers(2, 30)), draw(st.integers(-20 if signed else 0, 20))
    entries = draw(st.lists(st.integers(0, 65535), min_size=count, max_size=count))
    made = Dataset()
    made.add_new("LUTDescriptor", "SS" if signed else "US", [count, first, 16])
    made.add_new("LUTData", "US", entries)
    return made


@st.composite
def modality(draw: Any, signed: bool) -> dict[str, Any]:
    """Nothing, slope and intercept, or a table."""
    which = draw(st.sampled_from(["none", "slope", "table"]))
    if which == "slope":
        slope = draw(st.sampled_from([1, 2, 0.5, -1, 3.25]))
        return {"RescaleSlope": slope, "RescaleIntercept": draw(st.sampled_from([0, -1024, 7.5]))}
    return {"ModalityLUTSequence": Items([lookup(draw, signed)])} if which == "table" else {}


@FEW
@given(data=st.data(), turned=st.booleans())
def test_rescaling_equals_pydicom(tmp_path: Path, data: st.DataObject, turned: bool) -> None:
    values, tags = data.draw(stored())
    tags |= data.draw(modality(bool(tags["PixelRepresentation"])))
    path = tmp_path / "a.dcm"
    write(path, values, PhotometricInterpretation="MONOCHROME1" if turned else "MONOCHROME2", **tags)
    dataset = pydicom.dcmread(path)
    expected = apply_modality_lut(dataset.pixel_array.astype(np.int32), dataset).astype(np.float64)
    if turned:
        ends = np.array(domain_of(tags))
        if "RescaleSlope" in tags:
            ends = ends * tags["RescaleSlope"] + tags["RescaleIntercept"]
        expected = ends.sum() - expected
    np.testing.assert_allclose(read_frame(str(path), 0)[0], expected, rtol=1e-6)


def domain_of(tags: dict[str, Any]) -> tuple[float, float]:
    """What the bits can hold, and a table of 16 bits."""
    if "ModalityLUTSequence" in tags:
        return 0, 65535
    half = 2 ** (tags["BitsStored"] - 1)
    return (-half, half - 1) if tags["PixelRepresentation"] else (0, 2 * half - 1)


@FEW
@given(data=st.data())
def test_values_end_at_the_high_bit(tmp_path: Path, data: st.DataObject) -> None:
    """Older files have unused bits, or an overlay, below the values."""
    values, tags = data.draw(stored())
    high = data.draw(st.integers(tags["HighBit"], tags["BitsAllocated"] - 1))
    shift = high - tags["HighBit"]
    words = (values.astype(np.int64) << shift) | data.draw(st.integers(0, (1 << shift) - 1))
    kind = f"<{'i' if tags['PixelRepresentation'] else 'u'}{tags['BitsAllocated'] // 8}"
    pixels_of = words.astype(kind).tobytes()
    write(tmp_path / "a.dcm", values, **tags | {"HighBit": high, "PixelData": pixels_of + b"\0" * (len(pixels_of) % 2)})
    low, most = domain_of(tags)
    if shift and (words >= low).all() and (words <= most).all():
        return  # the header may as well be wrong
    np.testing.assert_array_equal(read_frame(str(tmp_path / "a.dcm"), 0)[0], values)


@pytest.mark.parametrize("high", [11, 15])
def test_a_high_bit_that_the_values_contradict_is_not_believed(tmp_path: Path, high: int) -> None:
    values = np.arange(15).reshape(SHAPE) * 250 + 5
    write(tmp_path / "a.dcm", values, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(read_frame(str(tmp_path / "a.dcm"), 0)[0], values)


def test_bits_that_are_cut_off_are_said(tmp_path: Path) -> None:
    values = np.arange(15).reshape(SHAPE) * 400
    write(tmp_path / "a.dcm", values, BitsStored=12, HighBit=11)
    assert (read_frame(str(tmp_path / "a.dcm"), 0)[0] == values % 4096).all()
    assert "more bits than the 12" in pixels.remarks_of(str(tmp_path / "a.dcm"), 0)[0]
    signed = (values - 2000).astype(np.int16)
    write(tmp_path / "b.dcm", signed, BitsStored=14, HighBit=13, PixelRepresentation=1)
    assert pixels.remarks_of(str(tmp_path / "b.dcm"), 0) == []
    overlay = write(tmp_path / "c.dcm", values, BitsStored=12, HighBit=11)
    overlay.add_new((0x6000, 0x0102), "US", 12)
    overlay.save_as(tmp_path / "c.dcm", enforce_file_format=True)
    assert pixels.remarks_of(str(tmp_path / "c.dcm"), 0) == []


@FEW
@given(data=st.data(), turned=st.booleans(), function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]), own=st.booleans())
def test_windows_equal_pydicom(tmp_path: Path, data: st.DataObject, turned: bool, function: str, own: bool) -> None:
    """Of the file itself (own) or of the form; the result of pydicom is spread over its range, ours over 0 to 255."""
    values, tags = data.draw(stored())
    tags |= data.draw(modality(bool(tags["PixelRepresentation"])))
    if tags.get("RescaleSlope", 1) < 0:
        tags["RescaleSlope"] = 1
    centre, width = data.draw(st.integers(-300, 3000)), data.draw(st.integers(1, 4000))
    window = {"WindowCenter": centre, "WindowWidth": width, "VOILUTFunction": function}
    path = tmp_path / "a.dcm"
    photometric = "MONOCHROME1" if turned else "MONOCHROME2"
    write(path, values, PhotometricInterpretation=photometric, **tags, **window)
    dataset = pydicom.dcmread(path)
    with np.errstate(over="ignore"):  # pydicom's exponential of what lies far below the window; its 8 bits would wrap around
        shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array.astype(np.int32), dataset), dataset)
    ends = np.array(domain_of(tags), float)
    if "RescaleSlope" in tags:
        ends = ends * tags["RescaleSlope"] + tags["RescaleIntercept"]
    expected = (shown - ends[0]) / (ends[1] - ends[0]) * 255
    expected = 255 - expected if turned else expected
    windowing = Windowing(own=True) if own else Windowing(Window(centre, width, function))
    found = read_frame(str(path), 0, windowing)[0]
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.5 + 1e-9)  # halves may be rounded either way


@FEW
@given(data=st.data())
def test_voi_tables_equal_pydicom(tmp_path: Path, data: st.DataObject) -> None:
    values, tags = data.draw(stored())
    table = lookup(data.draw, bool(tags["PixelRepresentation"]))
    path = tmp_path / "a.dcm"
    write(path, values, VOILUTSequence=Items([table]), WindowCenter=1, WindowWidth=2, **tags)
    dataset = pydicom.dcmread(path)
    expected = np.floor(apply_voi_lut(dataset.pixel_array, dataset) / 65535 * 255 + 0.5)
    np.testing.assert_array_equal(read_frame(str(path), 0, Windowing(own=True))[0], expected)


@FEW
@given(data=st.data(), wide=st.booleans(), segmented=st.booleans())
def test_palettes_equal_pydicom(tmp_path: Path, data: st.DataObject, wide: bool, segmented: bool) -> None:
    count, first = data.draw(st.integers(2, 40)), data.draw(st.integers(0, 9))
    indices = np.array(data.draw(st.lists(st.integers(0, 60), min_size=15, max_size=15))).reshape(SHAPE)
    bits = 16 if wide else 8
    kind = "<u2" if wide else "u1"
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    highest = []
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [count, first, bits]
        if segmented:  # one entry, then a line to the last: PS3.3 C.7.9.2
            begin, end = (data.draw(st.integers(0, 2**bits - 1)) for _ in range(2))
            entries, name = [0, 1, begin, 1, count - 1, end], f"Segmented{colour}"
            highest += [begin, end]
        else:
            entries, name = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count)), colour
            highest += entries
        raw = np.array(entries, kind).tobytes()
        tags[f"{name}PaletteColorLookupTableData"] = raw + b"\0" * (len(raw) % 2 and segmented)
        if len(raw) % 2 and not segmented:
            return  # pydicom takes no table of an odd number of bytes
    path = tmp_path / "a.dcm"
    write(path, indices, **tags)
    dataset = pydicom.dcmread(path)
    clipped = np.clip(dataset.pixel_array, first, first + count - 1)  # beyond 8 bits pydicom counts modulo 256
    expected = apply_color_lut(clipped, dataset).transpose(2, 0, 1)
    found = read_frame(str(path), 0)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected >> 8 if wide and max(highest) > 255 else expected)


def test_ybr_becomes_rgb(tmp_path: Path) -> None:
    ybr = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    write(tmp_path / "a.dcm", ybr[:, :, 0], PhotometricInterpretation="YBR_FULL", PixelData=ybr.tobytes(), **tags)
    expected = convert_color_space(ybr, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(read_frame(str(tmp_path / "a.dcm"), 0), expected.transpose(2, 0, 1))
    write(tmp_path / "b.dcm", ybr[:, :, 0], PhotometricInterpretation="HSV", PixelData=ybr.tobytes(), **tags)
    with pytest.raises(DataError, match="HSV, which is not read"):
        read_frame(str(tmp_path / "b.dcm"), 0)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_takes_no_part_in_windows(tmp_path: Path, photometric: str) -> None:
    """It is black, however the file shows its values; signed padding may be written as an unsigned number."""
    values = np.array([[-2000, 0, 100, 200]])
    signed = {"PixelRepresentation": 1, "PixelPaddingValue": -2000, "PhotometricInterpretation": photometric}
    write(tmp_path / "a.dcm", values, PixelData=values.astype("<i2").tobytes(), **signed)
    found = read_frame(str(tmp_path / "a.dcm"), 0, Windowing(Window(100.5, 201)))[0, 0].tolist()
    shown = [0, 128, 255]  # 127.5 rounded
    assert found == [0, *(shown if photometric == "MONOCHROME2" else (255 - value for value in shown))]
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    del dataset.PixelPaddingValue
    dataset.add_new("PixelPaddingValue", "US", 63536)
    dataset.save_as(tmp_path / "b.dcm")
    assert read_frame(str(tmp_path / "b.dcm"), 0, Windowing(Window(100.5, 201)))[0, 0].tolist() == found


def test_numbers_with_a_point(tmp_path: Path) -> None:
    values = np.array([[0.25, -3.5], [1e5, 7]], np.float32)
    dataset = write(tmp_path / "a.dcm", np.zeros((2, 2)), BitsAllocated=32)
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.FloatPixelData = values.tobytes()
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_frame(str(tmp_path / "a.dcm"), 0)[0], values)
    dataset.FloatPixelData = np.array([[1, 2], [np.nan, np.inf]], np.float32).tobytes()
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(DataError, match="2 of its values are no finite numbers"):
        read_frame(str(tmp_path / "b.dcm"), 0)


def test_values_that_do_not_fit_the_type_of_the_set_are_named() -> None:
    with pytest.raises(DataError, match="values from 0 to 40000; the data set holds int16"):
        pixels.fitted(np.array([[[0, 40000]]], np.uint16), 1, "int16", eight_bits=False)


def test_a_group_of_a_frame_has_its_own_window(tmp_path: Path) -> None:
    views = [item(FrameVOILUTSequence=Items([item(WindowCenter=c, WindowWidth=1)])) for c in (1, 11)]
    write(tmp_path / "a.dcm", np.full((2, 1, 2), (0, 10)), PerFrameFunctionalGroupsSequence=Items(views))
    found = [read_frame(str(tmp_path / "a.dcm"), frame, Windowing(own=True))[0, 0].tolist() for frame in (0, 1)]
    assert found == [[0, 255], [0, 0]]


def test_a_file_without_a_window_shows_all_that_its_bits_hold() -> None:
    np.testing.assert_allclose(own_share(Dataset(), 0, np.array([[0, 4095]]), (0, 4095)), [[0, 1]])
