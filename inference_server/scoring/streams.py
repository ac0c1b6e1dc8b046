"""Generators as answer bodies: the first item is pulled at once, the rest as the reader takes them."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, List, Optional

from inference_server.scoring.answer import BYTES, JSON_LINES, TEXT
from inference_server.scoring.encode import to_json


class Stream(Iterator[bytes]):
    """The items of `source` as bytes.

    Making one runs the script's code up to its first item, so a generator that fails at once still fails
    before anything was sent; whatever it raises is raised here. The first item decides the `content_type`:
    bytes, text, or (unless `json_lines` is off) one line of JSON for each item; an item of another kind breaks
    the stream with a TypeError. Closing it closes `source` and calls `on_close`.
    """

    def __init__(
        self, source: Iterable[Any], on_close: Optional[Callable[[], None]] = None, json_lines: bool = True
    ) -> None:
        self._items = iter(source)
        self._on_close = on_close
        self._closed = False
        self.content_type = TEXT
        self._first: List[Any] = []
        try:
            self._first.append(next(self._items))
            self.content_type = _type_of(self._first[0], json_lines)
        except StopIteration:
            self.close()
        except BaseException:
            self.close()
            raise

    def __next__(self) -> bytes:
        item = self._first.pop() if self._first else next(self._items)
        if self.content_type is JSON_LINES:
            return to_json(item).encode() + b"\n"
        if isinstance(item, str):
            return item.encode()
        if isinstance(item, (bytes, bytearray, memoryview)):
            return bytes(item)
        raise _wrong_item(item)

    def close(self) -> None:
        """Stop the source, whether or not it was read to its end."""
        if self._closed:
            return
        self._closed = True
        self._first = []
        close = getattr(self._items, "close", None)
        try:
            if close is not None:
                close()
        finally:
            if self._on_close is not None:
                self._on_close()


def _type_of(item: Any, json_lines: bool) -> str:
    if isinstance(item, str):
        return TEXT
    if isinstance(item, (bytes, bytearray, memoryview)):
        return BYTES
    if json_lines:
        return JSON_LINES
    raise _wrong_item(item)


def _wrong_item(item: Any) -> TypeError:
    return TypeError(f"a stream of text or bytes yielded a {type(item).__name__}")
