"""A request, turned into the keyword arguments of run(), for scripts that take text or a schema.

Which of the two, and with which names, is settled when the script is loaded; what is made here then is one
function from a request to arguments.
"""

from __future__ import annotations

import codecs
import json
from typing import Any, Callable, Dict, NamedTuple, Tuple
from urllib.parse import unquote_to_bytes

from inference_server.scoring.encode import to_json
from inference_server.scoring.errors import BadInput
from inference_server.scoring.inflate import inflate
from inference_server.scoring.request import Bytes, Request

REQUEST_HEADERS = "request_headers"

Arguments = Callable[[Request], Dict[str, Any]]


class Parameters(NamedTuple):
    """The signature of run(), as far as requests are concerned."""

    names: Tuple[str, ...]  # all but request_headers, in order; the first takes the input
    defaults: Dict[str, Any]  # of those that have one
    wants_headers: bool  # there is a parameter called request_headers


def text_arguments(parameters: Parameters, max_body_bytes: int) -> Arguments:
    """For a plain script: the body as text, or a GET's query as the text of a JSON object.

    The function raises BadInput (400) for a body that is not UTF-8, and as `inflate` does.
    """
    name = parameters.names[0]

    def plain(request: Request) -> Dict[str, Any]:
        if request.method == "GET":
            return {name: to_json(parse_query(request.query))}
        body = request.body
        if request.meta:
            body = inflate(body, request.header("content-encoding"), max_body_bytes)
        try:
            return {name: str(body, "utf-8")}
        except UnicodeDecodeError as error:
            raise BadInput(400, f"Input cannot be decoded as UTF-8: {error}") from None

    return with_headers(plain) if parameters.wants_headers else plain


def schema_arguments(
    parameters: Parameters, max_body_bytes: int, loads: Callable[[bytes], Any] = json.loads
) -> Arguments:
    """For a schema script: one argument per parameter, from the JSON object of the body or a GET's query.

    `loads` decodes a body with the values and the errors of json.loads.

    The function raises BadInput: 415 for a body that is not declared as JSON, 400 for one that is no JSON
    object or lacks a parameter that has no default, and as `inflate` does.
    """
    names, defaults = parameters.names, parameters.defaults

    def fields(request: Request) -> Dict[str, Any]:
        if request.method == "GET":
            given = parse_query(request.query)
        else:
            given = _json_object(request, max_body_bytes, loads)
        arguments = {}
        for name in names:
            if name in given:
                arguments[name] = given[name]
            elif name in defaults:
                arguments[name] = defaults[name]
            else:
                raise BadInput(400, f"A value is not provided for the {name!r} parameter.")
        return arguments

    return with_headers(fields) if parameters.wants_headers else fields


def with_headers(arguments: Arguments) -> Arguments:
    """The same arguments and `request_headers`, a dict of all headers."""

    def and_headers(request: Request) -> Dict[str, Any]:
        found = arguments(request)
        found[REQUEST_HEADERS] = request.joined_headers()
        return found

    return and_headers


def _json_object(request: Request, max_body_bytes: int, loads: Callable[[bytes], Any]) -> Dict[str, Any]:
    if not is_json(request.header("content-type")):
        raise BadInput(415, "Expects Content-Type to be application/json")
    body = inflate(request.body, request.header("content-encoding"), max_body_bytes)
    if not len(body):
        raise BadInput(400, "POST body is empty. Expecting a JSON dictionary.")
    value = _loads(body, loads)
    if not isinstance(value, dict):
        raise BadInput(400, "POST body should be a JSON dictionary.")
    return value


def _loads(body: Bytes, loads: Callable[[bytes], Any]) -> Any:
    """The JSON in `body`, which may be UTF-8 (with or without a mark), UTF-16 or UTF-32."""
    try:
        return loads(bytes(body))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadInput(400, f"POST body could not be decoded as JSON: {error}") from None


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is application/json or application/*+json, whatever its case and parameters."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def parse_query(query: bytes) -> Dict[str, Any]:
    """A raw query as a dict: each value read as JSON where it is JSON, else kept as text; a list for a name
    that comes more than once. Bytes that are not UTF-8 stay percent-encoded."""
    found: Dict[str, Any] = {}
    repeated = set()
    for pair in query.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _unquote(raw_name), _json_or_text(_unquote(raw_value))
        if name not in found:
            found[name] = value
        elif name in repeated:
            found[name].append(value)
        else:
            repeated.add(name)
            found[name] = [found[name], value]
    return found


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _unquote(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", _KEEP_ESCAPED)


def _keep_escaped(error: UnicodeError) -> Tuple[str, int]:
    """A codec error handler: bytes that cannot be decoded become what they were in the query, `%E9`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


_KEEP_ESCAPED = "azmlinfsrv.percent"
codecs.register_error(_KEEP_ESCAPED, _keep_escaped)
