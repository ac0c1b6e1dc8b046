"""A request as the worker sees it: a method, a query, a body, and headers only where the script needs them."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, Union

from inference_server.scoring.wire import META_LINES

Bytes = Union[bytes, memoryview]


class Request:
    """One request, made from one record of the channel. Cheap to make: nothing is parsed before it is asked for."""

    __slots__ = ("_headers", "_lines", "body", "meta", "method", "query")

    def __init__(self, method: str, query: bytes, body: Bytes, meta: bytes = b"") -> None:
        self.method = method
        self.query = query  # raw, without the question mark
        self.body = body
        self.meta = meta  # b"" unless the script needs headers; see wire.META_LINES
        self._lines: Optional[List[str]] = None
        self._headers: Optional[List[Tuple[str, str]]] = None

    @property
    def headers(self) -> List[Tuple[str, str]]:
        """(lower-case name, value) in order of arrival. Names with an underscore are left out: in CGI's
        spelling they could not be told from the same name with a dash."""
        if self._headers is None:
            pairs = (line.partition(": ") for line in self._facts()[META_LINES:])
            self._headers = [(name, value) for name, _, value in pairs if name and "_" not in name]
        return self._headers

    def header(self, name: str) -> str:
        """The value of a header by its lower-case name, repeated ones joined by a bare comma; "" when absent."""
        return ",".join([value for key, value in self.headers if key == name])

    def joined_headers(self) -> Dict[str, str]:
        """All headers, names In-Title-Case, repeated ones joined by a bare comma: what scripts are given."""
        joined: Dict[str, str] = {}
        for name, value in self.headers:
            name = name.title()
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined

    @property
    def target(self) -> str:
        """The request target as received."""
        return self._facts()[0]

    @property
    def version(self) -> str:
        """`HTTP/1.1` or `HTTP/1.0`."""
        return self._facts()[1]

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return self._facts()[2]

    @property
    def server(self) -> str:
        """`host:port` of the listening socket."""
        return self._facts()[3]

    @property
    def client(self) -> str:
        """`host:port` of the peer."""
        return self._facts()[4]

    @property
    def request_id(self) -> str:
        """The value of x-request-id that goes back to the caller."""
        return self._facts()[5]

    def _facts(self) -> List[str]:
        """The lines of `meta`, at least as many as come before the headers."""
        if self._lines is None:
            lines = self.meta.decode("latin-1").split("\n") if self.meta else []
            self._lines = lines + [""] * (META_LINES - len(lines))
        return self._lines
