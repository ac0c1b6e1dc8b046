"""Archives are unpacked whole, or refused whole with nothing left anywhere."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.storage.errors import ContentError, DestinationError
from tests.storage.bringing import Here, blobs, content, leftovers
from tests.tools import require_module

TEXT = b"weights " * 1000
FILES = {"model.bin": TEXT, "deep/er/labels.txt": b"a\nb\n", "empty": b"", "run.sh": b"#!/bin/sh\n"}


def tar_of(add: Callable[[tarfile.TarFile], None]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        add(tar)
    return made.getvalue()


def member(name: str, data: bytes = b"", **info: object) -> Callable[[tarfile.TarFile], None]:
    """Adds one member to a tar."""

    def add(tar: tarfile.TarFile) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        for key, value in info.items():
            setattr(header, key, value)
        tar.addfile(header, io.BytesIO(data))

    return add


def both(*adds: Callable[[tarfile.TarFile], None]) -> Callable[[tarfile.TarFile], None]:
    return lambda tar: [add(tar) for add in adds] and None


def a_tree(tar: tarfile.TarFile) -> None:
    for name, data in FILES.items():
        member(name, data, mode=0o755 if name.endswith(".sh") else 0o644)(tar)
    member("nothing", type=tarfile.DIRTYPE, mode=0o755)(tar)
    member("deep/link", type=tarfile.SYMTYPE, linkname="../model.bin")(tar)
    member("again", type=tarfile.LNKTYPE, linkname="model.bin")(tar)


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes], compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compress) as packed:
        for name, data in members:
            packed.writestr(name, data, compress)
    return made.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as library

        return library.compress(data)
    require_module("zstandard")
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip"])
def test_what_is_packed_is_what_is_there(here: Here, ending: str) -> None:
    tree = tar_of(a_tree)
    packed = {
        ".tar": lambda: tree,
        ".tar.gz": lambda: gzip.compress(tree),
        ".tgz": lambda: gzip.compress(tree),
        ".tar.zst": lambda: zstd(tree),
        ".zip": lambda: zip_of(
            *(
                (special(name, stat.S_IFREG | (0o755 if name == "run.sh" else 0o644)), data)
                for name, data in FILES.items()
            ),
            ("nothing/", b""),
            (special("deep/link", stat.S_IFLNK | 0o777), b"../model.bin"),
            ("again", TEXT),
        ),
    }[ending]()
    archive = here.root / f"model{ending}"
    archive.write_bytes(packed)
    brought = here.bring(archive)
    assert content(here.dest) == {**FILES, "deep/link": TEXT, "again": TEXT}
    assert os.readlink(here.dest / "deep/link") == "../model.bin"
    assert (here.dest / "nothing").is_dir()
    assert os.access(here.dest / "run.sh", os.X_OK)
    assert not (here.dest / "model.bin").stat().st_mode & 0o111
    assert brought.files == 5
    assert leftovers(here) == {archive.name}
    assert here.bring(archive).was_there
    assert (
        here.bring(archive, here.root / "out" / "other").fetched == 0
    )  # unpacked once, from the cache again
    assert content(here.root / "out" / "other") == content(here.dest)


def test_an_archive_stays_one_when_that_is_wanted(here: Here) -> None:
    archive = here.root / "model.zip"
    archive.write_bytes(zip_of(("a", b"1")))
    here.bring(archive, unpacks=False)
    assert content(here.dest) == {"model.zip": archive.read_bytes()}
    here.bring(archive)  # the other wish is another plan
    assert content(here.dest) == {"a": b"1"}


GOOD = member("good.txt", b"harmless")
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "climbs": ("x.tar", lambda: tar_of(both(GOOD, member("a/../../evil", b"!"))), "leads out"),
    "absolute": ("x.tar", lambda: tar_of(both(GOOD, member("/tmp/evil", b"!"))), "absolute"),
    "drive": ("x.tar", lambda: tar_of(both(GOOD, member("C:/evil", b"!"))), "absolute"),
    "backslash": ("x.tar", lambda: tar_of(both(GOOD, member("..\\evil", b"!"))), "not allowed"),
    "link to /": (
        "x.tar",
        lambda: tar_of(both(GOOD, member("l", type=tarfile.SYMTYPE, linkname="/etc/passwd"))),
        "outside",
    ),
    "link up": (
        "x.tar",
        lambda: tar_of(both(GOOD, member("d/l", type=tarfile.SYMTYPE, linkname="../../x"))),
        "outside",
    ),
    "links in turn": (
        "x.tar",
        lambda: tar_of(
            both(
                member("a/b", type=tarfile.DIRTYPE, mode=0o755),
                member("up", type=tarfile.SYMTYPE, linkname="a/b"),
                member("out", type=tarfile.SYMTYPE, linkname="up/../../../x"),
            )
        ),
        "outside",
    ),
    "behind a link": (
        "x.tar",
        lambda: tar_of(both(member("d", type=tarfile.SYMTYPE, linkname="e"), member("d/evil", b"!"))),
        "behind a link",
    ),
    "hard link out": (
        "x.tar",
        lambda: tar_of(both(GOOD, member("h", type=tarfile.LNKTYPE, linkname="../../x"))),
        "leads out",
    ),
    "hard link to nothing": (
        "x.tar",
        lambda: tar_of(both(GOOD, member("h", type=tarfile.LNKTYPE, linkname="x"))),
        "no file before",
    ),
    "device": (
        "x.tar",
        lambda: tar_of(both(GOOD, member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3))),
        "device",
    ),
    "pipe": ("x.tar", lambda: tar_of(both(GOOD, member("pipe", type=tarfile.FIFOTYPE))), "device"),
    "twice": ("x.tar", lambda: tar_of(both(GOOD, member("good.txt", b"other"))), "twice"),
    "in a file": ("x.tar", lambda: tar_of(both(GOOD, member("good.txt/x", b"!"))), "no folder"),
    "nothing": ("x.tar", lambda: tar_of(lambda tar: None), "empty"),
    "no tar": ("x.tar", lambda: TEXT, "no tar archive"),
    "no gzip": ("x.tar.gz", lambda: TEXT, "no tar.gz archive"),
    "half a gzip": ("x.tar.gz", lambda: gzip.compress(tar_of(a_tree))[:-20], "no tar.gz archive"),
    "ends between members": ("x.tar", lambda: tar_of(both(GOOD, member("b", b"2")))[:1024], "end"),
    "ends in a member": ("x.tar", lambda: tar_of(member("b", TEXT))[:2048], "ends early|end of data"),
    "gzip bomb": (
        "x.tar.gz",
        lambda: gzip.compress(tar_of(member("b", bytes(80 << 20))), 6),
        "times its size",
    ),
    "header bomb": ("x.tar.gz", lambda: gzip.compress(_large_header()), "header of many megabytes"),
    "zip climbs": ("x.zip", lambda: zip_of(("good", b"1"), ("../evil", b"!")), "leads out"),
    "zip absolute": ("x.zip", lambda: zip_of(("good", b"1"), ("/evil", b"!")), "absolute"),
    "zip link out": ("x.zip", lambda: zip_of((special("l", stat.S_IFLNK | 0o777), b"../../x")), "outside"),
    "zip device": ("x.zip", lambda: zip_of((special("d", stat.S_IFCHR | 0o666), b"")), "device"),
    "zip bomb": ("x.zip", lambda: zip_of(("b", bytes(80 << 20))), "times its size"),
    "zip damaged": ("x.zip", lambda: _damaged_zip(), "no zip archive, or a damaged one"),
    "no zip": ("x.zip", lambda: TEXT, "no zip archive"),
    "zip encrypted": ("x.zip", lambda: _encrypted_zip(), "encrypted"),
}


def _large_header() -> bytes:
    """A header of extended names that says it has 100 MB."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 100 << 20
    return header.tobuf(tarfile.USTAR_FORMAT) + bytes(100 << 20)


def _damaged_zip() -> bytes:
    data = bytearray(zip_of(("b", TEXT), compress=zipfile.ZIP_STORED))
    data[200] ^= 1
    return bytes(data)


def _encrypted_zip() -> bytes:
    data = bytearray(zip_of(("b", b"1")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_is_not_harmless_is_refused_whole(here: Here, name: str) -> None:
    file, make, why = HOSTILE[name]
    archive = here.root / file
    archive.write_bytes(make())
    with pytest.raises(ContentError, match=why) as caught:
        here.bring(archive)
    assert "\n" not in str(caught.value)
    assert file in str(caught.value)
    assert not here.dest.exists()
    assert not blobs(here)
    assert leftovers(here) == {file}
    assert {path.name for path in here.root.iterdir()} <= {"cache", "out", file}


def test_limits_can_be_raised_and_lowered(here: Here) -> None:
    archive = here.root / "zeros.zip"
    archive.write_bytes(zip_of(("b", bytes(80 << 20))))
    with pytest.raises(ContentError, match="max_unpacked_size"):
        here.bring(archive, max_unpack_ratio=1e6, max_unpacked_size=1 << 20)
    assert here.bring(archive, max_unpack_ratio=1e6).size == 80 << 20


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library reads zstd there")
def test_the_library_that_lacks_is_named(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    archive = here.root / "x.tar.zst"
    archive.write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(DestinationError, match=r"azmlinfsrv\[storage\]"):
        here.bring(archive)
    assert leftovers(here) == {"x.tar.zst"}


def test_what_tar_itself_packs(here: Here) -> None:
    """GNU tar's own headers: long names, sparse files, hard links."""
    folder: Path = here.root / "in"
    long = "n" * 120
    (folder / long / long).mkdir(parents=True)
    (folder / long / long / "f").write_bytes(b"1")
    with open(folder / "sparse", "wb") as file:
        file.truncate(1 << 20)
        file.write(b"begins")
    os.link(folder / "sparse", folder / "linked")
    subprocess.run(["tar", "-C", folder, "-czSf", here.root / "x.tgz", "."], check=True)
    here.bring(here.root / "x.tgz")
    assert content(here.dest) == content(folder)
