"""Rows of plain scripts: JSON texts joined into one text.

run() takes the body as text and most often gives it to json.loads. Texts are joined as texts, which costs
about a tenth of decoding them. Nothing is trusted for it: a text that is not JSON where nobody has looked
leaves the joined text as broken as it was alone, so run() raises and the culprit is found by halves.

The usual body is a frame like `{"data": [` … `]}` around numbers. What is left of numbers without their digits
are brackets and commas, and bodies of one size leave the same: their shape is looked up, not found out.
Everything else (strings, objects, true, null, NaN) is decoded once to learn what a row is made of.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Hashable, List, Mapping, Optional, Tuple

from inference_server.scoring.batching import shapes
from inference_server.scoring.batching.frames import Cut, Frames, joined
from inference_server.scoring.batching.loading import loads
from inference_server.scoring.batching.payload import Payload
from inference_server.scoring.inflate import inflate
from inference_server.scoring.request import Request

SHAPES = 256  # are remembered
SHAPE_BYTES = 64 * 1024  # of brackets and commas; a larger text is looked at each time

_NUMBERS = shapes.NUMBERS
_NO_ROWS: Tuple[int, shapes.Kind] = (0, ((), ""))


class TextRows:
    """Merges bodies that are JSON text. `pad` names the members that are padded, and with what."""

    def __init__(self, name: str, max_body_bytes: int, pad: Mapping[str, Any]) -> None:
        self._name = name  # of run()'s parameter
        self._max_body_bytes = max_body_bytes
        self._pad = {key: b"," + json.dumps(value).encode() for key, value in pad.items()}
        self._frames = Frames(pad)
        self._seen = self._frames.seen
        self._shapes: Dict[bytes, Tuple[int, Tuple[int, ...]]] = {}  # by what is left of the numbers
        self._loads = loads()

    def payload(self, request: Request) -> Optional[Payload]:
        """None for what has to be called alone: a GET, no rows, rows that differ among themselves, no JSON.

        Raises BadInput as `inflate` does.
        """
        if request.method != "POST":
            return None
        body = request.body
        if request.meta:
            body = inflate(body, request.header("content-encoding"), self._max_body_bytes)
        if type(body) is not bytes:
            body = bytes(body)
        start, end = body.find(b"[") + 1, body.rfind(b"]")
        frame = self._seen.get((body[:start], body[end:]))
        if frame is None or frame.names[0] in self._pad:
            return self._unknown(body)
        inner = body[start:end]
        shape = self._shapes.get(inner.translate(None, _NUMBERS))
        if shape is None:
            rows, (lengths, leaf) = self._kind(inner)
            if not rows:
                return self._unknown(body)
        elif b"." in inner or _has_fractions(inner):
            (rows, lengths), leaf = shape, "f"
        elif shapes.has_long_digits(inner):
            return None
        else:
            (rows, lengths), leaf = shape, "i"
        # past the constructors of the named tuples, which take a third of the time of all of this
        cut = tuple.__new__(Cut, (frame, (inner,)))
        return tuple.__new__(Payload, (rows, (frame.key, lengths, leaf), cut, 0))

    def arguments(self, payloads: List[Payload]) -> Dict[str, Any]:
        """The joined text under the name of run()'s parameter."""
        cuts = [payload.value for payload in payloads]
        if payloads[0].length:
            cuts = self._padded(cuts)
        return {self._name: str(joined(cuts), "utf-8")}

    def _unknown(self, body: bytes) -> Optional[Payload]:
        """The payload of a body whose frame was not seen yet, or holds more than rows of numbers."""
        cut = self._frames.between(body)
        payload = self._of(cut) if cut else None
        if payload is None:
            cut = self._frames.anywhere(body)
            payload = self._of(cut) if cut else None
        return payload

    def _of(self, cut: Cut) -> Optional[Payload]:
        """None where the lists of `cut` are no lists, are empty, or have no one kind of row."""
        rows = length = 0
        key: List[Hashable] = [cut.frame.key]
        for name, inner in zip(cut.frame.names, cut.lists):
            counted, (lengths, leaf) = self._kind(inner)
            if not counted or (rows and counted != rows):
                return None
            rows = counted
            if name in self._pad:
                if len(lengths) != 1 or not lengths[0] or leaf not in ("i", "f"):
                    return None
                length = length or lengths[0]
                lengths = (-1,)
            key += (lengths, leaf)
        return Payload(rows, tuple(key), cut, length)

    def _kind(self, inner: bytes) -> Tuple[int, shapes.Kind]:
        """(rows, their kind) of a list's content; 0 rows where it has none that can be merged."""
        skeleton = inner.translate(None, _NUMBERS)
        if skeleton.translate(None, b"[],"):
            return self._decoded(inner)
        if not inner or inner.isspace():
            return _NO_ROWS
        shape = self._shapes.get(skeleton) or shapes.of_skeleton(skeleton)
        if shape is None:
            return _NO_ROWS
        if shape[1] and shape[1][-1] == 1:  # of lists of one number the same is left as of empty ones
            return self._decoded(inner)
        if skeleton and len(skeleton) <= SHAPE_BYTES:  # nothing is left of one number, nor of an empty list
            if len(self._shapes) >= SHAPES:
                self._shapes.clear()
            self._shapes[skeleton] = shape
        if _has_fractions(inner):
            return shape[0], (shape[1], "f")
        return _NO_ROWS if shapes.has_long_digits(inner) else (shape[0], (shape[1], "i"))

    def _decoded(self, inner: bytes) -> Tuple[int, shapes.Kind]:
        try:
            rows = self._loads(b"[" + inner + b"]")
            return len(rows), shapes.of_values(rows)
        except (ValueError, RecursionError, shapes.Uneven):
            return _NO_ROWS

    def _padded(self, cuts: List[Cut]) -> List[Cut]:
        """The same with rows that are all as long as the longest, list by list."""
        frame = cuts[0].frame
        columns = [
            _even([cut.lists[index] for cut in cuts], self._pad[name])
            if name in self._pad
            else [cut.lists[index] for cut in cuts]
            for index, name in enumerate(frame.names)
        ]
        return [Cut(frame, lists) for lists in zip(*columns)]


def _has_fractions(numbers: bytes) -> bool:
    return b"." in numbers or b"e" in numbers or b"E" in numbers


def _even(lists: List[bytes], padding: bytes) -> List[bytes]:
    """Lists of rows of numbers with `padding` at the end of the shorter rows."""
    lengths = [inner.count(b",", 0, inner.index(b"]")) + 1 for inner in lists]
    longest = max(lengths)
    return [
        inner if length == longest else inner.replace(b"]", padding * (longest - length) + b"]")
        for inner, length in zip(lists, lengths)
    ]
