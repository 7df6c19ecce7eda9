"""Archives and files of weights as somebody would make them who wants to leave the folder, fill the disk or stop the server.

Each is seeded: the same name gives the same bytes. `Hostile.refused` says whether the whole must be refused; else what is
dangerous in it may also be left out.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TARS = {".tar": "", ".tar.gz": "gz", ".tar.bz2": "bz2", ".tar.xz": "xz"}
MARK = b"was here"
LEAVING = ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil", "//evil", "./../evil", "a/./b/../../../evil", "..", "a/.."]
NAMES = ["", ".", "/", " ", "a\0b", "a\nb", "\x1b[2J", "\u202egnp.exe", "é" * 2000, "/".join("a" * 300), "a" * 60_000]
NAMES += ["CON", "a:b", "-rf", "<b>x</b>", "%2e%2e%2fevil", "~/evil", "$HOME", "file://evil", "....//evil"]
MEMBERS = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True)
class Hostile:
    """`write` makes the file."""

    name: str
    file_name: str
    write: Callable[[Path], object]
    refused: bool = False


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def tar_of(*members: tarfile.TarInfo | tuple[str, bytes], mode: str = "") -> bytes:
    """A tar of files and of headers alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}", format=tarfile.GNU_FORMAT) as packed:
        for one in members:
            info = one if isinstance(one, tarfile.TarInfo) else member(one[0], size=len(one[1]))
            packed.addfile(info, None if isinstance(one, tarfile.TarInfo) else io.BytesIO(one[1]))
    return buffer.getvalue()


def zip_of(*members: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        for name, data in members:
            packed.writestr(name, data, compress_type=compression)
    return buffer.getvalue()


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.create_system = mode << 16, 3
    return info


def raw_directory(count: int, said: int, name: bytes = b"a.png", flags: int = 0, extra: bytes = b"") -> bytes:
    """A zip whose directory alone is there, with a number of entries that its end states as another."""
    sizes = (len(name), len(extra), 0, 0, 0, 0, 0)
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, flags, 0, 0, 0, 0, 0, 0, *sizes) + name + extra
    return entry * count + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, min(len(entry) * count, 0xFFFFFFFF), 0, 0)


def overlapping(entries: int, size: int) -> bytes:
    """A zip whose members are all the same packed bytes: small, and large when it is unpacked."""
    data = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = data.compress(bytes(size)) + data.flush()
    sizes = (zlib.crc32(bytes(size)), len(packed), size)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, *sizes, 1, 0) + b"a" + packed
    entries_of = [
        struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 8, 0, 0, *sizes, 1, 0, 0, 0, 0, 0, 0) + b"a"
        for _ in range(entries)
    ]
    directory = b"".join(entries_of)
    return local + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, len(directory), len(local), 0)


def in_pieces(path: Path, mode: str, parts: Iterator[bytes]) -> None:
    """Write what is larger than the memory should hold, packed."""
    opened = {"": open, "gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[mode]
    level = {"gz": {"compresslevel": 1}, "xz": {"preset": 0}}.get(mode, {})
    with opened(path, "wb", **level) as handle:  # type: ignore[operator]
        for part in parts:
            handle.write(part)


def many_members(path: Path, mode: str, first: bytes = b"") -> None:
    header = member("a.png").tobuf()
    in_pieces(path, mode, iter([first, *[header * 1000] * (MEMBERS // 1000), bytes(1024)]))


def summed(header: bytearray) -> bytes:
    """A header of a tar that was changed, with the checksum that it has now."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sparse_files() -> Iterator[tuple[str, bytes]]:
    """A file of a hole of 512 bytes and 512 bytes behind it, in each form that GNU tar has written, as it should be."""
    header = bytearray(member("a.png", tarfile.GNUTYPE_SPARSE, size=512).tobuf(tarfile.GNU_FORMAT))
    header[386:410] = (b"%011o\0" % 512) * 2  # where the piece lies, and its size
    header[483:495] = b"%011o\0" % 1024
    yield "old", summed(header) + b"x" * 512 + bytes(1024)
    size, where = {"size": "1024", "numblocks": "1"}, {"offset": "512", "numbytes": "512"}
    newest = {"major": "1", "minor": "0", "realsize": "1024", "name": "a.png"}
    for form, attributes in {"0.0": size | where, "0.1": size | {"map": "512,512"}, "1.0": newest}.items():
        data = (b"1\n512\n512\n".ljust(512, b"\0") if form == "1.0" else b"") + b"x" * 512
        info = member("a.png", size=len(data))
        info.pax_headers = {f"GNU.sparse.{name}": value for name, value in attributes.items()}
        yield form, info.tobuf(tarfile.PAX_FORMAT) + data + bytes(1024)


def sparse_map(pieces: int) -> Iterator[bytes]:
    """A sparse file of GNU tar whose map of holes goes on and on, each block looking like a header of a large member too."""
    header = bytearray(member("a", tarfile.GNUTYPE_SPARSE).tobuf())
    header[482] = 1  # the map goes on in the next block
    yield summed(header)
    block = bytearray((b"%011o\0" % 7 + b"%011o\0" % 7) * 21 + bytes(8))
    block[504] = 1
    for _ in range(pieces):
        yield bytes(block) * 2048


def sparse_pax(pieces: int) -> Iterator[bytes]:
    """A sparse file of the newer form, whose map is text before its data."""
    info = member("a", size=1 << 33)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1", "GNU.sparse.name": "a"}
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield b"999999999999\n"
    for _ in range(pieces):
        yield b"1\n" * (MIB // 2)


def nested(levels: int, width: int) -> bytes:
    data = bytes(10 * MIB)
    for level in range(levels):
        data = zip_of(*((f"{level}-{n}.zip", data) for n in range(width)), compression=zipfile.ZIP_DEFLATED)
    return data


def _bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def cheap() -> Iterator[Hostile]:
    """Those that take no time to make: paths, links, devices, names, duplicates, lies."""
    for name in LEAVING:
        inside = ("fine.png", b"1"), (name, MARK)
        yield Hostile(f"zip to {name}", "a.zip", _bytes(zip_of(*inside)), True)
        for suffix, mode in TARS.items():
            yield Hostile(f"tar {mode} to {name}", f"a{suffix}", _bytes(tar_of(*inside, mode=mode)), True)
    kinds = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE}
    for words, kind in kinds.items():
        for target in ("/etc/passwd", "../../../secret", "..", "/", "fine.png", "a/../../secret", "\n"):
            yield Hostile(f"{words} to {target!r}", "a.tar", _bytes(tar_of(("fine.png", b"1"), member("x", kind, target))))
            through = tar_of(member("x", kind, target), ("x/evil", MARK), ("x", MARK))
            yield Hostile(f"a file through a {words} to {target!r}", "a.tar", _bytes(through))
    for words, kind in {"a pipe": tarfile.FIFOTYPE, "a device": tarfile.CHRTYPE, "a disk": tarfile.BLKTYPE, "?": b"Z"}.items():
        yield Hostile(words, "a.tar", _bytes(tar_of(("fine.png", b"1"), member("x", kind))))
    for words, file_mode in {"link": 0o120777, "pipe": 0o010644, "device": 0o020644, "set-uid": 0o104755}.items():
        yield Hostile(f"zip with a {words}", "a.zip", _bytes(zip_of(("fine", b"1"), (zip_entry("x", file_mode), b"/etc/passwd"))))
    for number, name in enumerate(NAMES):
        named = zip_of(("fine.png", b"1"), (name, b"x")) if name else raw_directory(1, 1, b"")
        yield Hostile(f"zip with name {number}", "a.zip", _bytes(named))
        yield Hostile(f"tar with name {number}", "a.tar", _bytes(tar_of(("fine.png", b"1"), (name, b"x"))))
    odd = b"\xff\xfe\xfd.png"
    yield Hostile("zip with bytes as a name", "a.zip", _bytes(raw_directory(1, 1, odd)), True)
    yield Hostile("zip that says UTF-8", "a.zip", _bytes(raw_directory(1, 1, odd, 0x800)), True)
    yield Hostile("tar with bytes as a name", "a.tar", _bytes(tar_of((odd.decode(errors="surrogateescape"), b"x"))))
    for count, refused in ((2, False), (600, True)):
        same = [("a.png", b"x")] * count
        yield Hostile(f"tar with {count} of one name", "a.tar", _bytes(tar_of(*same)), refused)
        yield Hostile(f"zip with {count} of one name", "a.zip", _bytes(zip_quietly(same)), refused)
    yield Hostile("a file that is a folder too", "a.tar", _bytes(tar_of(("a", b"x"), ("a/b", b"x"))), True)
    yield Hostile("names that differ in case", "a.zip", _bytes(zip_of(("A.png", b"x"), ("a.png", b"y"), ("a.PNG", b"z"))))
    good, tgz = zip_of(("a.png", b"123" * 99), ("b/c.png", b"4")), tar_of(("a.png", b"123" * 99), ("b/c.png", b"4"), mode="gz")
    for suffix, data in ((".zip", good), (".tar.gz", tgz)):
        lies = {"empty": b"", "cut": data[: len(data) // 2], "its start alone": data[:4], "text": b"no archive" * 99}
        for words, lie in lies.items():
            yield Hostile(f"{suffix} {words}", f"a{suffix}", _bytes(lie), True)
        chance = random.Random(suffix)
        for number in range(40):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            yield Hostile(f"{suffix} damaged {number}", f"a{suffix}", _bytes(bytes(damaged)))
    yield Hostile("a zip that says tar", "a.tar", _bytes(good))
    yield Hostile("a tar that says zip", "a.zip", _bytes(tgz))
    secret = bytearray(good)
    for place in (good.index(b"PK\x03\x04") + 6, good.index(b"PK\x01\x02") + 8):
        secret[place] |= 1
    yield Hostile("encrypted", "a.zip", _bytes(bytes(secret)), True)
    unknown = bytearray(good)
    for place in (good.index(b"PK\x03\x04") + 8, good.index(b"PK\x01\x02") + 10):
        unknown[place] = 99
    yield Hostile("packed in no known way", "a.zip", _bytes(bytes(unknown)), True)
    for words, how in {"bzip2": zipfile.ZIP_BZIP2, "LZMA": zipfile.ZIP_LZMA}.items():
        yield Hostile(f"zip bomb, {words}", "a.zip", _bomb(how, 20 * MIB), True)
    wrong = good.replace(b"123123123", b"124123123", 1)
    yield Hostile("a wrong checksum", "a.zip", _bytes(wrong), True)
    yield Hostile("a size without data", "a.tar", _bytes(member("a", size=1 << 40).tobuf()), True)
    yield Hostile("a size below zero", "a.tar", _bytes(_negative()))
    for form, data in sparse_files():
        yield Hostile(f"a file with a hole, form {form}", "a.tar", _bytes(data), True)
        behind = tar_of(("fine.png", b"1"))[:1024] + data
        yield Hostile(f"a file with a hole behind another, form {form}", "a.tar", _bytes(behind), True)
    for suffix, mode in TARS.items():
        for words, begin in {"of holes": sparse_map, "of holes as text": sparse_pax}.items():
            name = f"a map {words} without end, {mode}"
            yield Hostile(name, f"a{suffix}", lambda path, mode=mode, begin=begin: in_pieces(path, mode, begin(2)), True)


def zip_quietly(members: list[tuple[str, bytes]]) -> bytes:
    """`zip_of`, of names that come twice, which `zipfile` warns of."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zip_of(*members)


def _negative() -> bytes:
    header = bytearray(member("a").tobuf())
    header[124:136] = b"\xff" * 12
    return summed(header) + bytes(1024)


def costly() -> Iterator[Hostile]:
    """Bombs, and a million members, which take seconds to make."""
    zeros = 300 * MIB
    yield Hostile("zip bomb, deflate", "a.zip", _bomb(zipfile.ZIP_DEFLATED, zeros), True)
    for suffix, mode in list(TARS.items())[1:]:
        first = member("a", size=zeros).tobuf()
        parts = [first, *[bytes(MIB)] * 300, bytes(1024)]
        yield Hostile(
            f"tar bomb, {mode}", f"a{suffix}", lambda path, mode=mode, parts=parts: in_pieces(path, mode, iter(parts)), True
        )
        yield Hostile(f"tar of {MEMBERS:,} members, {mode}", f"a{suffix}", lambda path, mode=mode: many_members(path, mode), True)
        large = member("a", size=200 * MIB).tobuf() + bytes(200 * MIB)
        yield Hostile(
            f"a large member before {MEMBERS:,}, {mode}",
            f"a{suffix}",
            lambda path, mode=mode, large=large: many_members(path, mode, large),
            True,
        )
    yield Hostile(f"tar of {MEMBERS:,} members", "a.tar", lambda path: many_members(path, ""), True)
    for said in (1, 65535):
        yield Hostile(f"zip of {MEMBERS:,} members, says {said}", "a.zip", _bytes(raw_directory(MEMBERS, said)), True)
    yield Hostile(
        "zip with a directory of gigabytes", "a.zip", _bytes(raw_directory(9000, 9000, b"a" * 30000, 0, bytes(30000))), True
    )
    yield Hostile("zip of one bomb, 5,000 times", "a.zip", _bytes(overlapping(5000, 4 * MIB)), True)
    yield Hostile("archives in archives", "a.zip", _bytes(nested(3, 8)))
    yield Hostile("a map of holes without end", "a.tar.gz", lambda path: in_pieces(path, "gz", sparse_map(400)), True)
    yield Hostile("a map of holes as text", "a.tar.gz", lambda path: in_pieces(path, "gz", sparse_pax(600)), True)
    for number, kind in enumerate((tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)):
        parts = [member("long", kind, size=1 << 30).tobuf(), *[b"a" * MIB] * 64]
        yield Hostile(
            f"a name of a gigabyte {number}", "a.tar.gz", lambda path, parts=parts: in_pieces(path, "gz", iter(parts)), True
        )
    wide = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    yield Hostile(
        "xz that wants a gigabyte", "a.tar.xz", _bytes(lzma.compress(tar_of(("a", b"x")), lzma.FORMAT_XZ, filters=wide))
    )


def _bomb(how: int, size: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", how) as packed, packed.open("zeros", "w", force_zip64=True) as target:
            for _ in range(size // MIB):
                target.write(bytes(MIB))

    return write


def weights() -> Iterator[Hostile]:
    """Files of weights that lie, by the suffix that each is sent with."""
    head = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    for words, size in {"2**62 bytes": 1 << 62, "2**64 - 1 bytes": (1 << 64) - 1, "63 MiB": 63 << 20, "none": 0}.items():
        yield Hostile(f"a header of {words}", "w.safetensors", _bytes(struct.pack("<Q", size) + b"{}"), True)
    for words, value in {
        "a list": [],
        "a number": 7,
        "no offsets": {"a": {}},
        "offsets of text": {"a": {"data_offsets": ["0", "4"]}},
        "offsets without end": {"a": {**head["a"], "data_offsets": [0, 10**400]}},
        "a list of meta": {**head, "__metadata__": []},
        "meta of no text": {**head, "__metadata__": {"digits": 7}},
        "meta of no JSON": {**head, "__metadata__": {"digits": "{" * 5000}},
        "meta of a list": {**head, "__metadata__": {"digits": "[1]"}},
        "deep meta": {**head, "__metadata__": {"digits": "[" * 90_000}},
        "an epoch without end": {**head, "__metadata__": {"digits": '{"epoch": 1e999, "task": "classification"}'}},
    }.items():
        data = json.dumps(value).encode()
        data = struct.pack("<Q", len(data)) + data + bytes(4)
        yield Hostile(f"safetensors with {words}", "w.safetensors", _bytes(data), "epoch" not in words)
    deep = b"[" * 90_000
    yield Hostile("a deep header", "w.safetensors", _bytes(struct.pack("<Q", len(deep)) + deep), True)
    for words, data in {
        "a pickle that runs": b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85R.",
        "a class of its own": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        "text": b"hello",
        "a pickle without end": b"\x80\x02" + b"(" * 90_000,
        "nothing": b"",
        "a number of gigabytes": b"\x80\x02\x8b\xff\xff\xff\x7f",
        "a text of gigabytes": b"\x80\x02X\xff\xff\xff\x7f",
        "a text of 2**50 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50),
        "a text of 2**63 bytes": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f",
    }.items():
        yield Hostile(f".pth: {words}", "w.pth", _bytes(data), True)
        yield Hostile(f".pth zip: {words}", "w.pth", _bytes(zip_of(("x/data.pkl", data))), bool(data))
    yield Hostile(".pth zip without data", "w.pth", _bytes(zip_of(("x", b""))), True)
    yield Hostile(".pth zip with two", "w.pth", _bytes(zip_of(("x/data.pkl", b""), ("y/data.pkl", b""))), True)
    yield Hostile(
        ".pth zip bomb", "w.pth", _bytes(zip_of(("x/data.pkl", b"(" * (100 * MIB)), compression=zipfile.ZIP_DEFLATED)), True
    )
    for words, how in {"bzip2": zipfile.ZIP_BZIP2, "LZMA": zipfile.ZIP_LZMA}.items():
        bomb = zip_of(("x/data.pkl", b"(" * (20 * MIB)), ("digits.json", b" " * (20 * MIB)), compression=how)
        yield Hostile(f".pth zip bomb, {words}", "w.pth", _bytes(bomb), True)
        yield Hostile(f".keras bomb, {words}", "w.keras", _bytes(bomb), True)
    yield Hostile(".keras bomb", "w.keras", _bytes(zip_of(("digits.json", b"[" * (65 * MIB)), compression=8)), True)
    yield Hostile(".keras that is no zip", "w.keras", _bytes(b"hello"), True)
    yield Hostile(".h5 of text", "w.h5", _bytes(b"hello"), True)
