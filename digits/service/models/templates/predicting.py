"""What every `predict.py` needs, whatever the framework: pictures become features, outputs become words and files."""

import argparse
import importlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 274  # the tag, in TIFF and EXIF alike
NPY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # a file of boxes, a bare codestream
HEAD = 4096  # bytes that tell the format, with the header of a PGM
MOST_PIXELS = 89_478_485  # of a picture; from here on Pillow warns
SCORE = 0.5  # from which on boxes count where nothing else was said
NOT_EIGHT_BITS = "Here a picture of 8 bits a channel is needed: scale its values to 0 to 255 and save it as PNG."

# -- from a file to a feature (C, H, W) -----------------------------------------------------------------------------


def load_picture(path):
    """A picture with 8 bits a channel, mode L or RGB: turned as its EXIF tag says, transparent parts white."""
    with opened(path) as image:
        kind = image.format
        of_tiff = image.tag_v2.get(262) if kind == "TIFF" else None
        white_is_zero = of_tiff == 0 and image.mode.startswith("I;16")  # Pillow turns round those of 8 bits
        image.load()
        image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if mode == "1":
        return image.convert("L")
    if mode == "RGBA" and kind in ("TGA", "BMP", "DIB") and image.getextrema()[3] == (0, 0):  # a byte that means nothing
        return image.convert("RGB")
    if mode in ("L", "RGB", "P", "PA", "RGBA", "RGBa", "LA", "La"):
        canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("L" if mode in ("L", "LA", "La") else "RGB")
    if mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return image.convert("RGB")
    if not mode.startswith("I"):
        sys.exit(f"{path} has pixels of mode {mode}. {NOT_EIGHT_BITS}")
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        sys.exit(f"{path} has whole numbers from {values.min()} to {values.max()}. {NOT_EIGHT_BITS}")
    upper = (values.astype(np.uint16) >> 8).astype(np.uint8)
    return Image.fromarray(255 - upper if white_is_zero else upper)


def opened(path):
    """A picture, not yet decoded."""
    image = Image.open(path)
    if image.format == "EPS":  # Pillow hands it to Ghostscript
        image.close()
        sys.exit(f"{path} is EPS, which is a program and not read. Save it as PNG.")
    return image


def scaled_size(size, target, mode):
    """Width and height to scale to before cutting and padding."""
    ratios = (size[0] / target[0], size[1] / target[1])
    if mode == "squash" or ratios[0] == ratios[1]:
        return target
    ratio = {"crop": min(ratios), "fill": max(ratios), "half_crop": sum(ratios) / 2}[mode]
    width, height = (max(1, round(side / ratio)) for side in size)
    if mode == "crop":
        return max(width, target[0]), max(height, target[1])
    if mode == "fill":
        return min(width, target[0]), min(height, target[1])
    return width, height


def resize(image, width, height, mode, fill="noise"):
    """Squash, crop, fill or half_crop to width x height, as an array (H, W) or (H, W, 3); padding is repeatable noise or zero."""
    if image.size == (width, height):
        return np.asarray(image)
    scaled = image.resize(scaled_size(image.size, (width, height), mode), Image.Resampling.BILINEAR)
    return cut_and_pad(np.asarray(scaled), width, height, fill)


def cut_and_pad(array, width, height, fill):
    """The middle of (H, W) or (H, W, C) as width x height, type kept."""
    top, left = max(0, (array.shape[0] - height) // 2), max(0, (array.shape[1] - width) // 2)
    centre = array[top : top + height, left : left + width]
    if centre.shape[:2] == (height, width):
        return centre
    shape = (height, width, *array.shape[2:])
    result = np.zeros(shape, array.dtype) if fill == "zero" else noise(array, shape)
    top, left = (height - centre.shape[0]) // 2, (width - centre.shape[1]) // 2
    result[top : top + centre.shape[0], left : left + centre.shape[1]] = centre
    return result


def noise(array, shape):
    """Repeatable noise: all values of 8-bit pictures, of others those between the smallest and largest of `array`."""
    if array.dtype == np.uint8 and array.shape[2:] in ((), (3,)):
        return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)
    low, high = float(array.min()), float(array.max())
    return as_type(low + np.random.default_rng(shape[:2]).random(shape) * (high - low), array.dtype)


def pad(image, width, height):
    """The picture in the upper left corner of a black one; a larger picture is shrunk into it."""
    if image.width > width or image.height > height:
        image = image.resize(scaled_size(image.size, (width, height), "fill"), Image.Resampling.BILINEAR)
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image)
    return canvas


def read_feature(path, meta):
    """The picture as the data set stored its own: (C, H, W)."""
    channels, height, width = meta["stored_shape"]
    how = meta.get("image") or {}
    dtype = np.dtype((meta.get("preparation") or {}).get("dtype", "uint8"))
    is_wide = how.get("dtype", "8-bit" if dtype == np.uint8 else "") != "8-bit" or channels not in (1, 3)
    if is_wide and not becomes_wide(path, meta, dtype):
        return read_values(path, meta)
    image = load_picture(path).convert("L" if channels == 1 else "RGB")
    if any(how.get("padding") or ()):
        image = pad(image, *how["padding"])
    if how.get("keep_size"):
        least_height, least_width = least_of(meta)
        scale = max(1.0, least_height / image.height, least_width / image.width)
        size = max(least_width, round(image.width * scale)), max(least_height, round(image.height * scale))
        array = np.asarray(image if scale == 1.0 else image.resize(size, Image.Resampling.BILINEAR))
    else:
        size = how.get("width") or width, how.get("height") or height
        array = resize(image, *size, how.get("resize_mode") or "squash", fill_of(how))
    array = compressed(array, how).astype(dtype, copy=False)
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def becomes_wide(path, meta, dtype):
    """Whether a picture of 8 bits gets the wider type of a plugin's records, its values unscaled; nobody knows how it read its
    files."""
    if "dtype" in (meta.get("image") or {}) or meta["stored_shape"][0] not in (1, 3) or not np.can_cast(np.uint8, dtype):
        return False
    return not head_of(path).startswith(NPY) and load_values(path).dtype == np.uint8


def least_of(meta):
    """The smallest height and width that the network takes; with a `stride` smaller pictures are padded."""
    return (1, 1) if meta.get("stride") else meta["input_shape"][1:]


def padded(feature, meta):
    """A whole picture (C, H, W) for a network that was trained on crops: mirrored at the right and bottom up to its stride."""
    stride = meta.get("stride")
    if not stride:
        return feature
    sides = zip(feature.shape[1:], meta["input_shape"][1:], strict=True)
    missing = [(0, max(-(-side // stride) * stride, least) - side) for side, least in sides]
    return np.pad(feature, ((0, 0), *missing), "symmetric")


def cut_back(values, feature, seen):
    """An output for the padded picture `seen` (C, h, w), cut to the size of the picture (C, H, W)."""
    over = values.ndim == 3 and values.shape[1:] == seen.shape[1:]
    return values[:, : feature.shape[1], : feature.shape[2]] if over else values


def fill_of(how):
    """What pads pictures; older data sets do not say it."""
    return how.get("fill") or ("noise" if "min_side" in how else "zero")


def compressed(array, how):
    """What JPEG leaves of a picture (H, W) or (H, W, 3), where the training saw its pictures so, else the picture itself."""
    if how.get("feature_encoding") != "jpg":
        return array
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=how.get("jpeg_quality") or 90, subsampling=0)
    return np.asarray(Image.open(buffer))


# -- values that are no 8-bit grey or RGB ---------------------------------------------------------------------------


def read_values(path, meta):
    """Values of any type and number of channels as the data set stored its own: (C, H, W)."""
    channels, height, width = meta["stored_shape"]
    how = meta.get("image") or {}
    said = how.get("dtype", "8-bit")
    dtype = np.dtype(meta["preparation"]["dtype"] if said == "8-bit" else said)
    array = load_values(path)
    if array.dtype != dtype:
        floats = array.dtype.kind == dtype.kind == "f" and dtype.itemsize >= 4
        if not floats and not np.can_cast(array.dtype, dtype, "safe"):
            sys.exit(
                f"{path} holds {array.dtype} values, the network was trained on {dtype}. Convert it; a .npy is read as it is."
            )
        with np.errstate(over="ignore"):
            found = array.astype(dtype)
        if not np.array_equal(np.isfinite(found), np.isfinite(array)):
            sys.exit(f"{path} holds {array.dtype} values that are too large for {dtype}, which the network was trained on.")
        print(f"{path} holds {array.dtype} values, taken as {dtype} without scaling them.", file=sys.stderr)
        array = found
    array = with_channels(array if array.ndim == 3 else array[:, :, np.newaxis], channels, path)
    if any(how.get("padding") or ()):
        array = pad_values(array, *how["padding"])
    if how.get("keep_size"):
        least_height, least_width = least_of(meta)
        by = max(1.0, least_height / array.shape[0], least_width / array.shape[1])
        array = scale(array, (max(least_width, round(array.shape[1] * by)), max(least_height, round(array.shape[0] * by))))
    else:
        size = how.get("width") or width, how.get("height") or height
        if array.shape[:2] != (size[1], size[0]):
            mode = how.get("resize_mode") or "squash"
            scaled = scale(array, scaled_size((array.shape[1], array.shape[0]), size, mode))
            array = cut_and_pad(scaled, *size, fill_of(how))
    return array.transpose(2, 0, 1)


def load_values(path):
    """(H, W) or (H, W, C) as the file holds them, turned as it says: .npy, TIFF, 16-bit PNG and whatever Pillow reads. The
    content decides how a file is read, not its ending."""
    head = head_of(path)
    depths = depths_of_jpeg_2000(path, head)
    is_deep = head.startswith(b"\x89PNG") and len(head) >= 26 and head[24] == 16 and head[25] in (2, 4, 6)
    is_deep = is_deep or pnm_maximum(head, b"P[36]") > 255 or (len(depths) > 1 and max(depths) > 8)
    try:
        if head.startswith(NPY):
            array = np.load(path, allow_pickle=False)
        elif head.startswith(TIFF):
            array = values_of_tiff(path)
        else:
            array = values_of_deep_colour(path, head) if is_deep else values_by_pillow(path, head)
        if len(depths) == 1 and array.ndim == 2:  # Pillow moved them to the upper end of 8 or 16 bits
            array = array >> (8 * array.dtype.itemsize - depths[0])
    except UNUSABLE:
        raise
    except Exception as error:  # a torn file makes the decoders raise anything, from zlib.error to IndexError
        sys.exit(f"{path} cannot be read: {error}.")
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or 0 in array.shape:
        sys.exit(f"{path} holds {array.dtype} values of shape {array.shape}; numbers (H, W) or (H, W, C) are needed.")
    return array


def head_of(path):
    """The first bytes of a file, which tell its format."""
    with open(path, "rb") as file:
        return file.read(HEAD)


def values_of_tiff(path):
    """The first series of pages, whose grey counts from black on."""
    with needed("tifffile", path).TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages.first
        if series.size > 4 * MOST_PIXELS:
            sys.exit(f"{path} is too large (shape {series.shape}).")
        tag = page.tags.get(ORIENTATION)
        orientation = 1 if tag is None else tag.value
        try:
            array, axes = series.asarray(), series.axes
        except (ValueError, NotImplementedError):  # a codec or a number of bits that tifffile alone cannot read
            return values_by_libtiff(path, page, orientation)
        white_is_zero, most = page.photometric == 0, (1 << page.bitspersample) - 1
    if array.ndim == 3 and axes[0] in "CSIQZ" and axes[1:] == "YX":
        array = np.moveaxis(array, 0, -1)
    array = turned(array, orientation)
    if array.dtype == bool:
        return (array ^ white_is_zero).astype(np.uint8)
    return most - array if white_is_zero and array.dtype.kind == "u" else array


def values_by_libtiff(path, page, orientation):
    """The first page of a TIFF by the libtiff in OpenCV or Pillow, which turns it and counts 8 bits from black itself."""
    bits = page.bitspersample
    if bits > 8 and page.samplesperpixel > 1:
        return turned(values_by_cv2(path).astype(page.dtype), orientation)
    array = values_by_pillow(path, b"")
    if bits == 1 or page.samplesperpixel > 1 or page.colormap is not None:
        return array
    array = unscaled(array, bits).astype(page.dtype)
    return (1 << bits) - 1 - array if bits > 8 and page.photometric == 0 and array.dtype.kind == "u" else array


def values_of_deep_colour(path, head):
    """Colours of 16 bits, of which Pillow would drop the lower half."""
    with opened(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
    return turned(values_by_cv2(path, b"\n" if head.startswith(b"P3") else b""), orientation)


def values_by_cv2(path, end=b""):
    """As they are stored, colour in RGB; `end` is put behind the file, where OpenCV wants more than its last number."""
    cv2 = needed("cv2", path)
    array = cv2.imdecode(np.frombuffer(Path(path).read_bytes() + end, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        sys.exit(f"{path} cannot be read with 16 bits a channel.")
    order = [2, 1, 0, 3][: array.shape[2]] if array.ndim == 3 and array.shape[2] >= 3 else slice(None)
    return np.ascontiguousarray(array[..., order])


def pnm_maximum(head, kinds):
    """The number for white of a PGM (P[25]) or PPM (P[36]); 0 for other files."""
    line = rb"\s+(?:#[^\n]*\n\s*)*(\d+)"
    header = re.match(kinds + 3 * line, head)  # width, height and that number
    return int(header[3]) if header else 0


def depths_of_jpeg_2000(path, head):
    """The bits of each channel; none of other files."""
    data = Path(path).read_bytes() if head.startswith(JPEG_2000) else b""
    at = data.find(JPEG_2000[1])
    count = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    return [(size & 0x7F) + 1 for size in data[at + 42 : at + 42 + 3 * count : 3]]


def values_by_pillow(path, head):
    """What Pillow decodes; grey that it scaled to the whole range has the numbers of the file."""
    with opened(path) as image:
        image.load()
        picture = ImageOps.exif_transpose(image)
    array = np.array(picture.convert("RGB") if picture.mode in ("CMYK", "YCbCr", "PA", "LAB", "HSV") else picture)
    array = array.astype(np.uint8) if array.dtype == bool else array
    if head.startswith(b"\x89PNG") and head[25] == 0:
        return unscaled(array, head[24])
    most = pnm_maximum(head, b"P[25]")
    if most in (0, 255, 65535) or array.ndim != 2:
        return array
    return np.rint(array * (most / (255 if most < 256 else 65535))).astype(array.dtype)


def unscaled(array, bits):
    """Grey of 2 or 4 bits that Pillow scaled to 255."""
    return array // {2: 85, 4: 17}[bits] if bits in (2, 4) and array.dtype == np.uint8 else array


def turned(array, orientation):
    """(H, W, …) as it is stored, turned upright as an orientation (1 to 8, as EXIF counts) says; as it is for any other."""
    if orientation not in range(1, 9):
        return array
    if orientation >= 5:  # mirrored along the diagonal first; 5 is that alone
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    columns = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return np.ascontiguousarray(array[rows, columns])


def needed(name, path):
    """A package that only such files need."""
    packages = {"cv2": "opencv-python-headless"}
    try:
        return importlib.import_module(name)
    except ImportError:
        sys.exit(f"{path} cannot be read without {packages.get(name, name)}: pip install {packages.get(name, name)}")


def with_channels(array, channels, path):
    """(H, W, C) with so many channels; grey and RGB become each other."""
    found = array.shape[2]
    if channels == found:
        return array
    if found == 1 and channels == 3:
        return np.repeat(array, 3, axis=2)
    if found in (3, 4) and channels == 1:
        return as_type(array[:, :, :3] @ np.array([0.299, 0.587, 0.114]), array.dtype)[:, :, np.newaxis]
    sys.exit(f"{path} has {found} channels, {channels} are needed.")


def pad_values(array, width, height):
    """As `pad`, for (H, W, C)."""
    size = array.shape[1], array.shape[0]
    if size[0] > width or size[1] > height:
        array = scale(array, scaled_size(size, (width, height), "fill"))
    out = np.zeros((height, width, array.shape[2]), array.dtype)
    out[: array.shape[0], : array.shape[1]] = array
    return out


def scale(array, size):
    """(H, W, C) at `size` (width, height), each channel for itself, type kept."""
    if array.shape[:2] == (size[1], size[0]):
        return array
    planes = [Image.fromarray(array[:, :, c].astype(np.float32)) for c in range(array.shape[2])]
    found = [np.asarray(plane.resize(size, Image.Resampling.BILINEAR)) for plane in planes]
    return as_type(np.stack(found, axis=2), array.dtype)


def as_type(values, dtype):
    """Whole numbers rounded and kept within the type's limits."""
    if dtype.kind in "ui":
        values = np.clip(np.rint(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)


# -- back into the picture ------------------------------------------------------------------------------------------


def origin_of(path, meta):
    """Where the prepared picture comes from in the file's: a point at x lies at (x - offset) * scale; `size` is the file's."""
    how = meta.get("image") or {}
    channels, height, width = meta["stored_shape"]
    bytes_only = (meta.get("preparation") or {}).get("dtype", "uint8") == "uint8"
    if how.get("dtype", "8-bit" if bytes_only else "") != "8-bit" or channels not in (1, 3):
        size = load_values(path).shape[1::-1]
    else:
        size = load_picture(path).size
    used, scale = size, np.ones(2)
    padding = tuple(how.get("padding") or ())
    if any(padding):
        shrunk = scaled_size(size, padding, "fill") if size[0] > padding[0] or size[1] > padding[1] else size
        used, scale = padding, np.array(size) / shrunk
    if how.get("keep_size"):
        least_height, least_width = least_of(meta)
        by = max(1.0, least_height / used[1], least_width / used[0])
        inner = outer = max(least_width, round(used[0] * by)), max(least_height, round(used[1] * by))
    else:
        outer = how.get("width") or width, how.get("height") or height
        inner = scaled_size(used, outer, how.get("resize_mode") or "squash")
    offset = [(want - have) // 2 if have <= want else -((have - want) // 2) for have, want in zip(inner, outer, strict=True)]
    return {"size": size, "prepared": outer, "scale": scale * np.array(used) / inner, "offset": np.array(offset)}


def boxes_in_picture(rows, origin):
    """Rows that begin with left, top, right, bottom, in the pixels of the file."""
    found = np.array(rows)
    found[:, :4] = (rows[:, :4] - np.tile(origin["offset"], 2)) * np.tile(origin["scale"], 2)
    return found


def values_in_picture(values, origin, meta):
    """A map of classes (1, h, w) or a picture (C, h, w) at the size of the file, (C, H, W), or as it is where it does not lie
    over the picture. Classes by the nearest pixel; what was cut off holds 255 in a map, 0 in a picture."""
    offset, sides = origin["offset"], np.array(values.shape[:0:-1])
    prepared = np.array(origin["prepared"])
    if tuple(sides) != tuple(prepared):
        if tuple(values.shape[1:]) != tuple(meta["input_shape"][1:]) or (sides > prepared).any():
            return values
        offset = offset - (prepared - sides) // 2
    if meta["task"] == "segmentation":
        return mapped(values, origin, offset)
    out = np.zeros((len(values), origin["size"][1], origin["size"][0]), values.dtype)
    (left, right, x0, x1), (top, bottom, y0, y1) = (
        part_of(*numbers)
        for numbers in zip(origin["size"], sides.tolist(), origin["scale"].tolist(), offset.tolist(), strict=True)
    )
    out[:, y0:y1, x0:x1] = scale(values[:, top:bottom, left:right].transpose(1, 2, 0), (x1 - x0, y1 - y0)).transpose(2, 0, 1)
    return out


def mapped(values, origin, offset):
    """Classes (1, h, w) at the size of the file."""
    places = [
        np.floor((np.arange(size) + 0.5) / by + first + 1e-9).astype(np.int64)
        for size, by, first in zip(origin["size"], origin["scale"], offset, strict=True)
    ]
    columns, rows = places
    seen = ((rows >= 0) & (rows < values.shape[1]))[:, None] & ((columns >= 0) & (columns < values.shape[2]))
    rows, columns = rows.clip(0, values.shape[1] - 1), columns.clip(0, values.shape[2] - 1)
    return np.where(seen, values[:, rows[:, None], columns], 255)


def part_of(size, prepared, by, offset):
    """Begin and end of the picture in what was prepared, and of that part in the picture, along one axis."""
    first = min(max(0, round(offset)), prepared - 1)
    last = max(first + 1, min(prepared, round(offset + size / by)))
    begin = min(max(0, round((first - offset) * by)), size - 1)
    return first, last, begin, max(begin + 1, min(size, round((last - offset) * by)))


# -- from outputs to words and files --------------------------------------------------------------------------------


def finish(values, meta, scores=True):
    """One output of one picture: of `scores` probabilities where there are classes (their axis is the first), else the labels'
    units."""
    classes = len(meta["class_labels"])
    indexed = meta.get("label_kind", "index") == "index" and meta["task"] in ("classification", "generic")
    scored = "softmax" if classes and (meta["task"] == "segmentation" or indexed) else ""  # of snapshots that do not say it
    activation = meta.get("activation", scored)
    if activation and not scores:
        return values
    if activation and values.ndim:
        values = values[:classes]
        if activation == "sigmoid":
            return np.where(values < np.inf, 1 / (1 + np.exp(-values)), np.nan)
        if not meta.get("probabilities"):  # the network ends in no softmax of its own
            values = np.exp(values - values.max(axis=0))
        return values / values.sum(axis=0)
    return values * np.float32(meta["preparation"].get("label_scale", 1.0))


def pictured(values, meta, channels_last=False):
    """A main output of as many numbers as the pictures that the network learnt as such a picture (C, H, W)."""
    shape = tuple(meta.get("label_shape") or ())
    is_picture = meta["task"] == "processing" and len(shape) == 3 and values.size == np.prod(shape)
    if not is_picture or values.shape == shape:
        return values
    return values.reshape(*shape[1:], shape[0]).transpose(2, 0, 1) if channels_last else values.reshape(shape)


def learns_its_input(meta):
    """Whether the network learnt the prepared picture itself, which can be brought back to stored units."""
    return meta["task"] == "processing" and meta.get("label_kind") == "none" and not meta["preparation"].get("whitening")


def in_stored_units(values, meta, mean_image):
    """Pictures (C, H, W) of a network that learnt the picture itself, in the units of the data set; other outputs as they are."""
    if not learns_its_input(meta) or values.ndim != 3 or values.shape[0] != meta["stored_shape"][0]:
        return values
    scaled = values * np.float32(meta["preparation"]["std"])
    mean = mean_for(values.shape[1:], meta, mean_image)
    return scaled if mean is None else scaled + mean


def mean_for(size, meta, mean_image):
    """What is taken off pictures of a size (H, W): the middle (C, H, W) of the mean picture (None: there is none), a number per
    channel (C, 1, 1), or None for nothing."""
    how = meta["preparation"]
    if how["mean_kind"] == "none":
        return None
    if (
        how["mean_kind"] == "image"
        and mean_image is not None
        and all(a >= b for a, b in zip(mean_image.shape[-2:], size, strict=True))
    ):
        return middle(mean_image, *size)
    return np.array(how["pixel_mean"], np.float32).reshape(-1, 1, 1)


def middle(x, height, width):
    """The middle (…, height, width) of an array (…, H, W)."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def main_name(outputs):
    """The name of the output that answers: `output`, else the first."""
    return "output" if "output" in outputs else next(iter(outputs))


def main_output(outputs):
    """The output that answers."""
    return outputs[main_name(outputs)]


def as_json(outputs, meta):
    first = main_output(outputs)
    if meta["class_labels"] and first.shape == (len(meta["class_labels"]),):
        return dict(zip(meta["class_labels"], plain(first), strict=True))
    return {name: plain(values) for name, values in outputs.items()}


def lies(origin):
    """`in_picture` of maps and pictures whose numbers are in other pixels than those of their file: a point at x lies at
    (x - offset) * scale of it."""
    if origin is None or tuple(origin["size"]) == tuple(origin["prepared"]):
        return {}
    return {"in_picture": {name: np.asarray(origin[name]).tolist() for name in ("size", "scale", "offset")}}


def plain(values):
    """Nested lists, with null for what is NaN or infinite: JSON knows no such numbers."""
    return np.where(np.isfinite(values), values, None).tolist()


def words(outputs, meta, top):
    """Lines about one picture."""
    first = main_output(outputs)
    bad = np.count_nonzero(~np.isfinite(first))
    said = [f"{bad} of {first.size} values are NaN or infinite"] if bad else []
    scored = first.ndim == 1 and len(first) == len(meta["class_labels"])
    return said if bad and scored else said + known_words(outputs, meta, top)


def known_words(outputs, meta, top):
    labels, first = meta["class_labels"], main_output(outputs)
    if meta["task"] == "detection":
        return boxes_words(first, meta, labels, top)
    if meta["task"] == "segmentation":
        classes = first.argmax(axis=0)[np.isfinite(first).all(axis=0)]
        shares = np.bincount(classes, minlength=len(labels)) / first[0].size
        return [f"{share * 100:6.2f} % of the pixels  {label}" for share, label in ranked(shares, labels, top) if share > 0]
    thresholds = meta.get("options", {}).get("label_thresholds")
    if thresholds and first.ndim == 1 and len(first) == len(labels):
        return found_words(first, thresholds, labels, top)
    if labels and first.ndim == 1 and len(first) == len(labels):
        return [f"{score * 100:6.2f} %  {label}" for score, label in ranked(first, labels, top)]
    main, names = main_name(outputs), value_names(meta, first)
    lines = [f"{name}: {value:.6g}" for name, value in zip(names, first.ravel(), strict=False)]
    others = {name: values for name, values in outputs.items() if not names or name != main}
    return lines + [number_words(name, values) for name, values in others.items()]


def value_names(meta, values):
    """The names that the data set gives the numbers of an answer, a name for each; else none."""
    names = (meta.get("image") or {}).get("columns") or ()
    return names if meta["task"] == "regression" and len(names) == values.size else ()


def boxes_words(rows, meta, labels, top):
    """The best boxes (n, 6) with at least the score threshold; rows of zeros fill up."""
    boxes = rows[np.isfinite(rows).all(axis=1) & (rows[:, 4] > 0)]
    least = score_threshold(meta)
    found = boxes[boxes[:, 4] >= np.float32(least)][:top]
    if len(boxes) and not len(found):
        return [f"nothing was found with a score of {least:g} or more"]
    return [box_words(row, labels) for row in found] or ["nothing was found"]


def score_threshold(meta):
    """The score from which on a box counts: what was chosen, else what the training was given."""
    given = meta.get("options", {}).get("score_threshold")
    return SCORE if given is None else given


def found_words(scores, thresholds, labels, top):
    """Which labels were found, then the best scores, each with the one from which on its label counts."""
    found = [label for score, threshold, label in zip(scores, thresholds, labels, strict=True) if score >= threshold]
    best = np.argsort(-scores, kind="stable")[:top]
    compared = [">=" if scores[i] >= thresholds[i] else "< " for i in best]
    lines = [
        f"{scores[i] * 100:6.2f} % {sign} {thresholds[i] * 100:6.2f} %  {labels[i]}"
        for i, sign in zip(best, compared, strict=True)
    ]
    return [f"found: {', '.join(found) or 'none'}", *lines]


def ranked(numbers, labels, top):
    return sorted(zip(numbers, labels, strict=True), reverse=True)[:top]


def box_words(row, labels):
    left, top, right, bottom, score, label = row
    return f"{score * 100:6.2f} %  {labels[int(label)]}  {left:.1f} {top:.1f} {right:.1f} {bottom:.1f}"


def number_words(name, values):
    if values.size <= 20:
        return f"{name}: {' '.join(f'{value:.6g}' for value in values.ravel())}"
    size = " x ".join(str(side) for side in values.shape)
    return f"{name}: {size} numbers from {values.min():.6g} to {values.max():.6g} (--save FOLDER writes them)"


def picture_of(values, meta, origin):
    """A map of classes with a palette, or a picture, at the size of the file; None for what is neither."""
    if values.ndim != 3:
        return None
    if meta["task"] == "segmentation":
        indices = values_in_picture(values.argmax(axis=0)[np.newaxis], origin, meta)[0]
        image = Image.fromarray(indices.astype(np.uint8 if len(values) <= 256 else np.uint16))
        if len(values) <= 256:
            image.putpalette([(37 * place * factor) % 256 for place in range(256) for factor in (5, 3, 7)])
        return image
    if values.shape[0] not in (1, 3) or min(values.shape[1:]) < 2:
        return None
    values = np.nan_to_num(values_in_picture(values, origin, meta) if meta["task"] == "processing" else values)
    eight_bits = learns_its_input(meta) and meta["preparation"].get("dtype", "uint8") == "uint8"
    if meta["preparation"].get("label_scale", 1.0) == 1.0 and not eight_bits:
        values = (values - values.min()) * (255 / max(float(np.ptp(values)), 1e-12))
    pixels = values.clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def save(path, outputs, meta, folder, origin):
    """Each output as `.npy`, and as PNG where it is a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in outputs.items():
        stem = folder / f"{Path(path).stem}_{name}"
        np.save(f"{stem}.npy", values)
        image = picture_of(values, meta, origin)
        if image is not None:
            image.save(f"{stem}.png")


def parser_of(text):
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--top", type=int, default=5, help="how many classes or boxes to print (5)")
    parser.add_argument("--score-threshold", type=float, metavar="SCORE", help="print boxes from this score on (the model's)")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write all outputs as .npy, maps and pictures as .png too")
    return parser


UNUSABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    SystemExit,
)  # what is raised of no picture, or a misfit


def report(predict, meta, options):
    """Print or save what `predict` gives of each picture. Boxes, and what is saved as PNG, lie in the pixels of its file.
    What cannot be used is named on the error output; the others go on, and the exit status is 1."""
    found = {}
    if options.score_threshold is not None:
        meta = {**meta, "options": {**meta.get("options", {}), "score_threshold": options.score_threshold}}
    for path in options.pictures:
        try:
            found[path] = predict(path)
        except UNUSABLE as error:
            print(f"{path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
    tell(found, meta, options)
    if len(found) < len(set(options.pictures)):
        sys.exit(1)


def tell(found, meta, options):
    """`found` has the outputs by picture."""
    origins = {path: origin_of(path, meta) for path in found if meta["task"] in ("detection", "segmentation", "processing")}
    if meta["task"] == "detection":
        found = {path: {n: boxes_in_picture(v, origins[path]) for n, v in outputs.items()} for path, outputs in found.items()}
    if options.save:
        for path, outputs in found.items():
            save(path, outputs, meta, options.save, origins.get(path))
    if options.json:
        print(json.dumps({p: {**as_json(outputs, meta), **lies(origins.get(p))} for p, outputs in found.items()}, indent=1))
        return
    for path, outputs in found.items():
        print(path, *words(outputs, meta, options.top), sep="\n  ")
