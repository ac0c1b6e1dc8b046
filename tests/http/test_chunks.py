"""Chunked bodies: any cut of the bytes gives the same body, and nothing ambiguous is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_server.errors import RequestRefused
from inference_server.http.chunks import ChunkReader
from inference_server.http.limits import Limits

LIMITS = Limits(body_bytes=1000, chunks=5, chunk_extension_bytes=20, trailer_bytes=40, fields=3)


def read(raw: bytes, limits: Limits = LIMITS, step: int = 0) -> tuple[bool, bytes, bytes]:
    """Feed `raw` in pieces of `step` bytes (0: at once): done, the body, the rest."""
    reader = ChunkReader(limits)
    for at in range(0, len(raw), step or len(raw)):
        if reader.feed(raw[at : at + (step or len(raw))]):
            rest = reader.rest + raw[at + (step or len(raw)) :]
            return True, b"".join(reader.pieces), rest
    return False, b"".join(reader.pieces), b""


GOOD: list[tuple[bytes, bytes, bytes]] = [
    (b"0\r\n\r\n", b"", b""),
    (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
    (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", b"abcde", b"GET /"),
    (b"A\r\n0123456789\r\n000\r\n\r\n", b"0123456789", b""),
    (b"00003\r\na\r\n\r\n0\r\n\r\n", b"a\r\n", b""),
    (b"3;a\r\nabc\r\n0;b=c\r\n\r\n", b"abc", b""),
    (b'3;a="q \\" ;"\r\nabc\r\n0\r\n\r\n', b"abc", b""),
    (b"1\r\na\r\n0\r\nX-A: b\r\nContent-Length: 5\r\n\r\nrest", b"a", b"rest"),
    (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", b""),
]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(("raw", "body", "rest"), GOOD)
def test_good(raw: bytes, body: bytes, rest: bytes, step: int) -> None:
    assert read(raw, step=step) == (True, body, rest)


BAD: list[tuple[str, bytes, int]] = [
    ("no size", b"\r\nabc\r\n", 400),
    ("0x", b"0x3\r\nabc\r\n", 400),
    ("plus", b"+3\r\nabc\r\n", 400),
    ("minus", b"-3\r\nabc\r\n", 400),
    ("underscore", b"1_0\r\n", 400),
    ("not hexadecimal", b"g\r\n", 400),
    ("leading space", b" 3\r\nabc\r\n", 400),
    ("trailing space", b"3 \r\nabc\r\n", 400),
    ("space before the extension", b"3 ;a\r\nabc\r\n", 400),
    ("space after the semicolon", b"3; a\r\nabc\r\n", 400),
    ("space around the equals sign", b"3;a =b\r\nabc\r\n", 400),
    ("empty extension", b"3;\r\nabc\r\n", 400),
    ("extension with a control character", b"3;a\x01\r\nabc\r\n", 400),
    ("unclosed quote", b'3;a="b\r\nabc\r\n', 400),
    ("LF for CRLF", b"3\nabc\r\n0\r\n\r\n", 400),
    ("LF in an extension", b"3;a\nabc\r\n", 400),
    ("CR for CRLF", b"3\rabc\r\n", 400),
    ("overflow", b"10000000000000003\r\nabc\r\n", 400),
    ("many zeros", b"0" * 17 + b"\r\n\r\n", 400),
    ("longer than its size", b"3\r\nabcd\r\n0\r\n\r\n", 400),
    ("shorter than its size", b"5\r\nabc\r\n0\r\n\r\n", 400),
    ("LF after the data", b"3\r\nabc\n0\r\n\r\n", 400),
    ("CR after the data", b"3\r\nabc\r0\r\n\r\n", 400),
    ("nothing after the data", b"3\r\nabc0\r\n\r\n", 400),
    ("body too large", b"3E9\r\n", 413),
    ("body too large in sum", b"200\r\n" + b"a" * 512 + b"\r\n200\r\n", 413),
    ("huge size", b"ffffffffffffffff\r\n", 413),
    ("too many chunks", b"1\r\na\r\n" * 6, 413),
    ("extension too long", b"1;" + b"a" * 20 + b"\r\n", 413),
    ("extensions too long in sum", b"1;aaaaaaaaaa\r\na\r\n1;aaaaaaaaaa\r\n", 413),
    ("extension without an end", b"1;" + b"a" * 100, 413),
    ("trailer without a colon", b"0\r\nabc\r\n\r\n", 400),
    ("trailer with a space", b"0\r\na : b\r\n\r\n", 400),
    ("folded trailer", b"0\r\na: b\r\n c\r\n\r\n", 400),
    ("trailer with a bare LF", b"0\r\na: b\nc: d\r\n\r\n", 400),
    ("trailer with NUL", b"0\r\na: \0\r\n\r\n", 400),
    ("LF at the end", b"0\r\n\n", 400),
    ("too many trailers", b"0\r\n" + b"a: b\r\n" * 4 + b"\r\n", 431),
    ("trailers too long", b"0\r\na: " + b"b" * 40 + b"\r\n\r\n", 431),
    ("trailers without an end", b"0\r\na: " + b"b" * 100, 431),
]


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize(("raw", "status"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad(raw: bytes, status: int, step: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(raw, step=step)
    assert caught.value.status == status


def test_large_chunks_are_not_copied() -> None:
    reader = ChunkReader(Limits())
    data = b"x" * 65536
    assert not reader.feed(b"20000\r\n")
    assert not reader.feed(data)
    assert reader.pieces[0] is data
    assert not reader.feed(data)
    assert reader.feed(b"\r\n0\r\n\r\n")
    assert reader.total == 131072


PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


@settings(max_examples=200, deadline=None)
@given(PIECES, st.binary(max_size=20), st.lists(st.integers(1, 30), max_size=60))
def test_any_cut_gives_the_same_body(pieces: list[bytes], rest: bytes, cuts: list[int]) -> None:
    raw = b"".join(b"%x;e\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX: y\r\n\r\n" + rest
    reader = ChunkReader(LIMITS)
    at = 0
    done = False
    for cut in [*cuts, len(raw)]:
        done = reader.feed(raw[at : at + cut])
        at += cut
        if done:
            break
    assert done
    assert b"".join(reader.pieces) == b"".join(pieces)
    assert reader.rest + raw[at:] == rest


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from([b"\r\n", b"3", b"0", b";", b"abc", b"0\r\n\r\n", b"a: b\r\n"]),
        ),
        max_size=12,
    )
)
def test_noise_raises_nothing_else_and_every_cut_agrees(parts: list[bytes]) -> None:
    raw = b"".join(parts)

    def outcome(step: int) -> object:
        try:
            return read(raw, step=step) if raw else None
        except RequestRefused as refused:
            return refused.status in (400, 413, 431)

    assert outcome(0) is not False
    assert outcome(0) == outcome(1) == outcome(5)
