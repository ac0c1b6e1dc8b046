"""Flask's side of a script: the request object of raw mode, and flask's context around run().

Flask is the script's, not ours: it is imported only when the script asks for the raw request, or imports
flask itself and so may use flask.request or flask.jsonify.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import Any, Callable, Dict, Iterator, List, Tuple
from urllib.parse import unquote_to_bytes

from inference_server.scoring.errors import EXTRAS, UserScriptError
from inference_server.scoring.inputs import Arguments, Parameters, with_headers
from inference_server.scoring.request import Request

ENDPOINT = "main.handle_score"  # what request.endpoint has always said
ROUTE_METHODS = ["GET", "POST", "OPTIONS", "HEAD"]

_asked = False


def ask() -> None:
    """A function was marked with @rawhttp: run() wants the whole request."""
    global _asked
    _asked = True


def forget() -> None:
    """Nothing is marked any more: the next script that this process loads decides for itself."""
    global _asked
    _asked = False


_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def asked() -> bool:
    """Whether any function was marked with @rawhttp."""
    return _asked


def flask_is_used(user_folders: List[str]) -> bool:
    """Whether a file of the user's that is imported by now names flask, and flask can be imported.

    Then run() may use flask.request, flask.jsonify and whatever else needs flask's context. That flask is
    loaded is no sign of it: other libraries, and AMLResponse, load it too.
    """
    if not any(_names_flask(file) for file in _imported_from(user_folders)):
        return False
    try:
        _import_flask()
    except ImportError:
        return False
    return True


def _imported_from(folders: List[str]) -> Iterator[str]:
    """The source files of modules that lie below `folders`, but in no environment there and not in this package."""
    inside = tuple(os.path.join(folder, "") for folder in folders)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and file.startswith(inside)
            and not file.startswith(_OURS)
            and "site-packages" not in file
            and "dist-packages" not in file
        ):
            yield file


def _names_flask(file: str) -> bool:
    try:
        with open(file, "rb") as source:
            return b"flask" in source.read()
    except OSError:
        return False


class Stage:
    """Puts run() on flask's stage: builds the request context of each call and enters it around run().

    Raises UserScriptError where flask cannot be imported.
    """

    def __init__(self, script_folder: str, threads: int) -> None:
        try:
            flask = _import_flask()
        except ImportError as error:
            raise UserScriptError(
                "run() is decorated with @rawhttp, which takes flask's request object, but flask cannot be "
                f"imported ({error}). Install it where the script runs: pip install 'azmlinfsrv[{EXTRAS['flask']}]'"
            ) from error
        from inference_server.scoring.aml_request import AMLRequest

        app = flask.Flask("azmlinfsrv", root_path=script_folder, static_folder=None)
        app.request_class = AMLRequest
        app.url_map.add(app.url_rule_class("/score", endpoint=ENDPOINT, methods=ROUTE_METHODS))
        self._app = app
        self._threaded = threads > 1
        self._next = threading.local()

    def raw_arguments(self, parameters: Parameters) -> Arguments:
        """Arguments of a raw script: the request object under the name of the first parameter."""
        name = parameters.names[0]

        def raw(request: Request) -> Dict[str, Any]:
            context = self._next.context = self._context(request)
            return {name: context.request}

        return with_headers(raw) if parameters.wants_headers else raw

    def beside(self, arguments: Arguments) -> Arguments:
        """The same arguments, with flask's context made ready for the run() that follows."""

        def and_context(request: Request) -> Dict[str, Any]:
            found = arguments(request)
            self._next.context = self._context(request)
            return found

        return and_context

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run`, called inside the context that the arguments before it made ready on this thread."""
        following = self._next

        def in_context(**arguments: Any) -> Any:
            context, following.context = following.context, None
            with context:
                return run(**arguments)

        return in_context

    def _context(self, request: Request) -> Any:
        return self._app.request_context(environ(request, self._threaded))


def environ(request: Request, threaded: bool = False) -> Dict[str, Any]:
    """A request as the WSGI environment flask reads it from (PEP 3333)."""
    server_name, server_port = _host_and_port(request.server)
    client_name, client_port = _host_and_port(request.client)
    found: Dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _path(request.target),
        "QUERY_STRING": request.query.decode("latin-1"),
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "SERVER_PROTOCOL": request.version,
        "SERVER_SOFTWARE": "azmlinfsrv",
        "REMOTE_ADDR": client_name,
        "REMOTE_PORT": client_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,  # the body is whole: its length need not be known
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": threaded,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def _path(target: str) -> str:
    """The decoded path of a request target, in WSGI's spelling: each byte one character."""
    if not target.startswith("/") and "://" in target:  # absolute form, as sent to proxies
        target = "/" + target.partition("://")[2].partition("/")[2]
    return unquote_to_bytes(target.partition("?")[0].encode("latin-1")).decode("latin-1")


def _host_and_port(address: str) -> Tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _import_flask() -> Any:
    import flask

    return flask
