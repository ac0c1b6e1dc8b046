"""A loaded score.py: how it wants to be called, its init() and its run()."""

from __future__ import annotations

import inspect
import logging
import os
from types import ModuleType
from typing import Any, Callable, Dict, Optional

from inference_server.scoring import coroutines, errors, models, raw, swagger
from inference_server.scoring.batching.items import batch_function, one_by_one
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.errors import SCRIPT_RAISED, UserScriptError
from inference_server.scoring.importing import import_script, user_folders
from inference_server.scoring.inputs import (
    REQUEST_HEADERS,
    Arguments,
    Parameters,
    schema_arguments,
    text_arguments,
)
from inference_server.scoring.results import started

RAW, SCHEMA, STRING = "raw", "schema", "string"

server_log = logging.getLogger("azmlinfsrv")
logger = logging.getLogger("azmlinfsrv.user_script")


def load(config: ScoringConfig) -> Script:
    """Import the script and settle how run() is called. init() is not called yet.

    Raises UserScriptError, already logged, when the script cannot be imported, lacks init() or run(), or has
    a run() that cannot be called by name.
    """
    try:
        errors.serving(os.path.abspath(config.entry_script or ""), config.development)
        module = import_script(config)
        file = os.path.abspath(getattr(module, "__file__", None) or config.entry_script or "")
        errors.serving(file, config.development)
        return Script(module, file, config)
    except UserScriptError as error:
        server_log.error("UserScriptError: %s", error.summary)
        if error.detail:
            server_log.error(error.detail)
        raise


class Script:
    """One score.py in this process.

    `arguments` makes the keyword arguments of one call from a Request and raises errors.BadInput for a body
    that does not fit; `run` is called with them. Both are plain functions picked for this script's mode, so
    that a request pays for nothing another mode needs.
    """

    mode: str  # RAW, SCHEMA or STRING
    file: str
    needs_headers: bool  # all headers must travel with a request
    needs_content_type: bool  # content-type must travel with a request
    accepts_options: bool  # OPTIONS and HEAD reach run()
    accepts_head: bool
    swaggers: Dict[str, Any]  # "2", "3", "3.1" -> document; filled by init()
    arguments: Arguments
    run: Callable[..., Any]
    module: ModuleType  # where run() was found
    user_run: Callable[..., Any]  # as written; `run` is it with all that its calls need around it
    parameters: Parameters  # of user_run

    def __init__(self, module: ModuleType, file: str, config: ScoringConfig) -> None:
        self.file = file
        self._config = config
        self._init = _callable(module, "init", file)
        self.module = _home_of_run(module)
        batch = batch_function(self.module)
        run = getattr(self.module, "run", None)
        if batch is not None and (run is None or run is batch):
            self.user_run = one_by_one(batch)
        else:
            self.user_run = _callable(self.module, "run", file)
        logger.info("Found user script at %s", file)
        if batch is not None and config.max_batch_size < 2:
            logger.info(
                "%s() takes several requests at once where --max_batch_size allows more than 1",
                getattr(batch, "__name__", "run_batch"),
            )
        self.parameters = _parameters(self.user_run)
        self.mode = _mode(self.user_run)
        self.swaggers = {}
        self.accepts_options = self.accepts_head = self.mode == RAW
        self.needs_content_type = self.mode == SCHEMA
        self._choose_calls()
        logger.info(self._mode_line())

    def init(self) -> None:
        """Call init(), await it if it is a coroutine, then prepare the swagger documents.

        Raises UserScriptError, already logged, when init() raises or a swagger file is broken.
        """
        logger.info("Invoking user's init function")
        if self._config.threads > 1:
            coroutines.use_thread()
        try:
            result = self._init()
            if inspect.isawaitable(result):
                coroutines.wait(result)
        except BaseException as error:  # also SystemExit: whatever init() raises, the script cannot serve
            raise self._init_failed(error) from error
        logger.info("Users's init has completed successfully")
        self._choose_calls()  # init() may have imported flask
        try:
            self.swaggers = swagger.prepare(self._config, self.user_run if self.mode == SCHEMA else None)
        except UserScriptError as error:
            server_log.error(error.summary)
            raise
        server_log.info("Scoring timeout is set to %d", self._config.scoring_timeout_ms)

    def _choose_calls(self) -> None:
        """Pick `arguments` and `run`, and with them what must travel."""
        config, parameters = self._config, self.parameters
        run = _completed(self.user_run)
        stage: Optional[raw.Stage] = None
        if self.mode == RAW or raw.flask_is_used(user_folders(config)):
            stage = raw.Stage(os.path.dirname(self.file), config.threads)
            run = stage.around(run)
        if self.mode == RAW:
            assert stage is not None
            self.arguments = stage.raw_arguments(parameters)
        else:
            make = schema_arguments if self.mode == SCHEMA else text_arguments
            arguments = make(parameters, config.max_body_bytes)
            self.arguments = stage.beside(arguments) if stage else arguments
        self.run = run
        self.needs_headers = parameters.wants_headers or stage is not None

    def _mode_line(self) -> str:
        if self.mode == RAW:
            return "run() is decorated with @rawhttp. Server will invoke it with the flask request object."
        if self.mode == SCHEMA:
            return (
                "run() is decorated with @input_schema. Server will invoke it with the following arguments: "
                f"{', '.join(self.parameters.names)}."
            )
        return "run() is not decorated. Server will invoke it with the input in JSON string."

    def _init_failed(self, error: BaseException) -> UserScriptError:
        """The error to raise, once the log has the whole story: what, where, and the models it could see."""
        failed = UserScriptError.of(SCRIPT_RAISED, error)
        failed.summary = f"User's init function failed: {errors.describe_failure(error)[0]}"
        server_log.error("User's init function failed")
        server_log.error(errors.failure_log(error))
        for line in models.directory_listing(self._config.model_dir):
            server_log.info(line)
        return failed


def _callable(module: Any, name: str, file: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise UserScriptError(f"User script at {file} does not have a {name}() function defined.")
    return found  # type: ignore[no-any-return]


def _home_of_run(module: ModuleType) -> ModuleType:
    """Where run() is looked up: a driver script names the module that has it in `driver_module`."""
    inner = getattr(module, "driver_module", None)
    return (
        inner
        if isinstance(inner, ModuleType) and (hasattr(inner, "run") or hasattr(inner, "run_batch"))
        else module
    )


def _parameters(run: Callable[..., Any]) -> Parameters:
    """What run() takes. Raises UserScriptError when it cannot be called with input by name."""
    try:
        signature = inspect.signature(run)
    except (TypeError, ValueError) as error:
        raise _refused(run, f"run() has no signature that can be read: {error}") from error
    found = signature.parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(parameter.kind not in named for parameter in found):
        raise _refused(run, "run() cannot accept positional-only arguments, *args, or **kwargs.")
    if not found:
        raise _refused(run, "run() needs to accept an argument for input data.")
    names = tuple(parameter.name for parameter in found if parameter.name != REQUEST_HEADERS)
    if not names:
        raise _refused(run, 'run() needs to accept an argument other than "request_headers".')
    defaults = {p.name: p.default for p in found if p.default is not inspect.Parameter.empty}
    return Parameters(names, defaults, len(names) < len(found))


def _refused(run: Callable[..., Any], text: str) -> UserScriptError:
    code = getattr(inspect.unwrap(run), "__code__", None)
    place = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
    return UserScriptError(text, text + place)


def _mode(run: Callable[..., Any]) -> str:
    decorated = swagger.is_decorated(run)
    if not raw.asked():
        return SCHEMA if decorated else STRING
    if decorated:
        raise _refused(run, "run() cannot be decorated with both @rawhttp and @input_schema")
    return RAW


def _completed(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run` with all it has to do counted as its own: a coroutine awaited, a generator's first item pulled."""
    if not coroutines.returns_unfinished(run):
        return run

    def completed(**arguments: Any) -> Any:
        return started(run(**arguments))

    return completed
