"""Finding and importing score.py, and what it may import itself."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, List, NoReturn

from inference_server.scoring import compat, wire
from inference_server.scoring.channel import Channel, say
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.errors import IMPORT_RAISED, UserScriptError

MODULE = "entry_module"
DEFAULT = "main"

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(os.path.realpath(_HERE)) + os.sep
_STDLIB = os.path.dirname(os.path.realpath(os.__file__)) + os.sep

logger = logging.getLogger("azmlinfsrv")


def import_script(config: ScoringConfig) -> ModuleType:
    """The script's module, imported. Raises UserScriptError when there is none or it raises."""
    extend_path(config)
    compat.install()
    if config.entry_script:
        return _import_file(config.entry_script)
    return _import_default(config.app_root)


def extend_path(config: ScoringConfig) -> None:
    """Let the script import what lies in the app root, the source directory and its own folder.

    All of them come last, so that a user's file never hides an installed package of that name; only the
    current directory, when it is not the app root, comes first. This package's own folder is no place to
    import from.
    """
    if config.reload:
        sys.dont_write_bytecode = True  # see _Uncached; this is for the modules that the script imports
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != _HERE]
    cwd = os.getcwd()
    if cwd != os.path.abspath(config.app_root):
        sys.path.insert(0, cwd)
    sys.path.extend(folder for folder in user_folders(config) if folder not in sys.path)


def user_folders(config: ScoringConfig) -> List[str]:
    """Where the user's own files lie: the app root, the source directory, the script's folder."""
    app_root = os.path.abspath(config.app_root)
    folders = [app_root]
    if config.source_dir:
        folders.append(os.path.join(app_root, config.source_dir))
    if config.entry_script:
        folders.append(os.path.dirname(os.path.abspath(config.entry_script)))
    return list(dict.fromkeys(folders))


def imported(config: ScoringConfig) -> List[str]:
    """The user's own files that are loaded now: the script, and modules below `user_folders`, by their real paths.

    What is installed below such a folder, as in a virtual environment, is not the user's own.
    """
    folders = [os.path.realpath(folder) + os.sep for folder in user_folders(config)]
    found = {os.path.realpath(config.entry_script)} if config.entry_script else set()
    for module in list(sys.modules.values()):
        name = getattr(module, "__dict__", {}).get("__file__")  # no attribute: a lazy module would load then
        if not isinstance(name, str) or "site-packages" in name or "dist-packages" in name:
            continue
        path = os.path.realpath(name)
        if path.startswith(tuple(folders)) and not path.startswith((_PACKAGE, _STDLIB)):
            found.add(path)
    return sorted(found)


def tell_imports(channel: Channel, config: ScoringConfig) -> None:
    """From now on have the front told of files that are imported later, as by a run(): before its answer leaves."""
    put, count = channel.put, len(sys.modules)

    def look_and_put(head: bytes, headers: bytes = b"", body: bytes = b"") -> None:
        nonlocal count
        if len(sys.modules) != count:
            count = len(sys.modules)  # before this comes here again, with that
            say(channel, wire.FILES, {"files": imported(config)})
        put(head, headers, body)

    channel.put = look_and_put  # type: ignore[method-assign]  # only where somebody develops: nobody else pays


class _Uncached(SourceFileLoader):
    """Compiles the file whenever it is loaded: a cached one counts as fresh when it has the size and the full second of
    the file, and a script may be saved twice within a second."""

    def path_stats(self, path: Any) -> NoReturn:
        raise OSError("no cache")


def _import_file(file: str) -> ModuleType:
    """The file as a module called `entry_module`, known by that name to pickle and to dataclasses."""
    file = os.path.abspath(file)
    spec = spec_from_file_location(MODULE, file, loader=_Uncached(MODULE, file))
    assert spec is not None
    assert spec.loader is not None  # it was given
    module = module_from_spec(spec)
    sys.modules[MODULE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # also SystemExit: a script that leaves while it is imported has failed
        del sys.modules[MODULE]
        raise _import_failed(error, file) from error
    return module


def _import_default(app_root: str) -> ModuleType:
    try:
        return importlib.import_module(DEFAULT)
    except ModuleNotFoundError as error:
        if error.name != DEFAULT:
            raise _import_failed(error) from error
        logger.error("No score script found. Expected score script main.py.")
        logger.error("Expected script to be found in PYTHONPATH: %s", sys.path)
        if os.path.isdir(app_root):
            logger.error("Current contents of AML_APP_ROOT: %s", sorted(os.listdir(app_root)))
        failed = UserScriptError(
            "No score script found. Expected score script main.py.",
            f"No score script found: there is no main.py in {os.path.abspath(app_root)}. "
            "Name the script with --entry_script.",
        )
        failed.missing = True
        raise failed from error
    except BaseException as error:
        raise _import_failed(error) from error


def _import_failed(error: BaseException, file: str = "") -> UserScriptError:
    failed = UserScriptError.of(IMPORT_RAISED, error)
    if file and not os.path.isfile(file):
        logger.error("No such file or directory.")
        wrong = "is a directory" if os.path.isdir(file) else "does not exist"
        failed.summary = f"The entry script {file} {wrong}. Give the path of score.py with --entry_script."
        failed.missing = True
    return failed
