"""Where the rows stand in a JSON text, so that texts can be joined without being decoded and dumped again.

A text is cut into the lists of its rows and the *frame* around them. Putting the rows of several texts into
one frame gives a text that decodes to the joined lists and otherwise to what each text decodes to: numbers,
escapes and spaces stay as they were sent.
"""

from __future__ import annotations

import binascii
import json
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from inference_server.scoring.batching.json_text import after_space, members

# The members of a body that may hold its rows. Of these exactly one may be a list.
NAMES = ("data", "inputs", "input_data", "instances")
# What pandas writes with orient="split", found in a member `input_data`: one row each in two lists.
SPLIT = ("input_data", ("columns", "index", "data"))

FRAME_BYTES = 4096  # a larger frame is not remembered
FRAMES = 256  # are remembered

Path = Tuple[str, ...]

# What holes begin with when a frame is read by itself. It is unknown outside, so no body holds it.
_SECRET = binascii.hexlify(os.urandom(16)).decode()


class Frame(NamedTuple):
    """A JSON text without its rows."""

    parts: Tuple[bytes, ...]  # one more than there are lists of rows
    names: Tuple[str, ...]  # of the lists, in the order of the text; "" for a body that is a list itself
    key: str  # equal for frames that decode to equal values


class Cut(NamedTuple):
    """A text in pieces: it reads parts[0] + lists[0] + parts[1] + …"""

    frame: Frame
    lists: Tuple[bytes, ...]  # each the text between the brackets


class Frames:
    """Finds the frames of bodies, and remembers those it has seen.

    `pad` holds the names of further members whose lists are rows.
    """

    def __init__(self, pad: Mapping[str, Any]) -> None:
        self._pad = pad
        self.seen: Dict[Tuple[bytes, ...], Optional[Frame]] = {}  # by their parts; None: these are no frame

    def between(self, body: bytes) -> Optional[Cut]:
        """The cut from the first bracket to the last, if that leaves a frame. What is between may still be
        something else than the content of one list: it must be read as such before it is used."""
        start, end = body.find(b"[") + 1, body.rfind(b"]")
        frame = self._frame((body[:start], body[end:])) if 0 < start <= end else None
        return Cut(frame, (body[start:end],)) if frame else None

    def anywhere(self, body: bytes) -> Optional[Cut]:
        """The cut of an object whose rows need not be its only lists; decodes all of it."""
        try:
            text = str(body, "utf-8")
            spans = self._spans(text)
        except (ValueError, IndexError, RecursionError):
            return None
        if not spans:
            return None
        parts, lists, at = [], [], 0
        for start, end in spans:
            parts.append(text[at:start].encode())
            lists.append(text[start:end].encode())
            at = end
        parts.append(text[at:].encode())
        frame = self._frame(tuple(parts))
        return Cut(frame, tuple(lists)) if frame else None

    def _frame(self, parts: Tuple[bytes, ...]) -> Optional[Frame]:
        if parts in self.seen:
            return self.seen[parts]
        frame = self._read(parts)
        if sum(map(len, parts)) <= FRAME_BYTES:
            if len(self.seen) >= FRAMES:
                self.seen.clear()
            self.seen[parts] = frame
        return frame

    def _spans(self, text: str) -> List[Tuple[int, int]]:
        """Where the contents of the row lists begin and end, in the order of the text."""
        top = {}
        for name, value, start, end in members(text, after_space(text, 0)):
            if name in top:  # said twice: which of them counts is for a parser to say
                return []
            top[name] = (value, start, end)
        spans = []
        for path in row_lists({name: value for name, (value, _, _) in top.items()}, self._pad):
            _, start, end = top[path[0]]
            if len(path) == 2:
                inner = {name: (start, end) for name, _, start, end in members(text, start)}
                start, end = inner[path[1]]
            spans.append((start + 1, end - 1))
        return sorted(spans)

    def _read(self, parts: Tuple[bytes, ...]) -> Optional[Frame]:
        """The frame of `parts`, if with something in each of its holes it is a body with lists there."""
        holes = [f"{_SECRET}{index}" for index in range(len(parts) - 1)]
        whole = parts[0] + b"".join(
            [b'"%s"%s' % (hole.encode(), part) for hole, part in zip(holes, parts[1:])]
        )
        try:
            value = json.loads(str(whole, "utf-8"))
        except (ValueError, RecursionError):
            return None
        paths = row_lists(value, self._pad)
        names = {hole: path[-1] if path else "" for path in paths for hole in _alone(value, path)}
        if len(paths) != len(holes) or names.keys() != set(holes):
            return None
        return Frame(parts, tuple([names[hole] for hole in holes]), json.dumps(value).replace(_SECRET, ""))


def _alone(value: Any, path: Path) -> List[str]:
    """The list at `path`, if it is one string."""
    for name in path:
        value = value[name]
    return value if len(value) == 1 and type(value[0]) is str else []


def row_lists(value: Any, pad: Mapping[str, Any]) -> List[Path]:
    """The paths of the lists in a decoded body that hold its rows; none where that cannot be told."""
    if type(value) is list:
        return [()]
    if type(value) is not dict:
        return []
    lists = [name for name in NAMES if type(value.get(name)) is list]
    padded = [name for name in pad if type(value.get(name)) is list and name not in lists]
    if len(lists) > 1:
        return []
    if lists or padded:
        return [(name,) for name in lists + padded]
    outer, allowed = SPLIT
    split = value.get(outer)
    if type(split) is not dict or not split.keys() <= set(allowed) or type(split.get("data")) is not list:
        return []
    if "index" not in split:
        return [(outer, "data")]
    return [(outer, "index"), (outer, "data")] if type(split["index"]) is list else []


def joined(cuts: Sequence[Cut]) -> bytes:
    """The text that has the rows of all `cuts`, one after the other, in the frame of the first."""
    parts = cuts[0].frame.parts
    text = [parts[0]]
    for index, part in enumerate(parts[1:]):
        text.append(b",".join([cut.lists[index] for cut in cuts]))
        text.append(part)
    return b"".join(text)
