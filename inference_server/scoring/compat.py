"""The module names that scripts written for Microsoft's server import, answered by ours.

`azureml_inference_server_http.*` is ours even where the real package is installed, and so are the two leaf
modules of `azureml.contrib.services`. Every other `azureml.*` stays what it is: its parents are made up only
where nothing else provides them, and even then look for real packages each time something is imported.

Nothing is imported before a script asks for it: two finders on sys.meta_path are all that is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

# What Microsoft's package said of itself when its contract was fixed; scripts compare against it.
VERSION = "1.5.1"

_ROOM = "inference_server.scoring."

_REQUEST = (_ROOM + "aml_request", ("AMLRequest", "rawhttp"))
_RESPONSE = (_ROOM + "aml_response", ("AMLResponse",))

# alias -> our module, and the names of it that the alias has
ALIASES: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "azureml_inference_server_http.api.aml_request": _REQUEST,
    "azureml_inference_server_http.api.aml_response": _RESPONSE,
    "azureml_inference_server_http.log_config": (_ROOM + "logs", ("AMLLogFormatter", "RootAccessFilter")),
    "azureml.contrib.services.aml_request": _REQUEST,
    "azureml.contrib.services.aml_response": _RESPONSE,
}
# package -> the names it has
PACKAGES: Dict[str, Dict[str, Any]] = {
    "azureml_inference_server_http": {"__version__": VERSION},
    "azureml_inference_server_http.api": {},
}
# parents that a really installed azureml may own
SHARED = frozenset({"azureml", "azureml.contrib", "azureml.contrib.services"})


def install() -> None:
    """Make the names importable. Calling it again does nothing."""
    if not any(isinstance(finder, _OurNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OurNames())
        sys.meta_path.append(_MissingParents())


class _Loader:
    """The half of a finder that makes modules. importlib.abc's own bases are left out: importing them takes every
    worker a tenth of its start."""

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        return None  # the usual one

    def spec(self, fullname: str, is_package: bool) -> Optional[ModuleSpec]:
        loader = self  # type: Any  # load_module() is not asked for any more
        return importlib.util.spec_from_loader(fullname, loader, is_package=is_package)


class _OurNames(_Loader):
    """First in line: the names that are always ours."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname in ALIASES or fullname in PACKAGES:
            return self.spec(fullname, is_package=fullname in PACKAGES)
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if name in PACKAGES:
            vars(module).update(PACKAGES[name])
            return
        target, public = ALIASES[name]
        ours = importlib.import_module(target)
        vars(module).update({key: getattr(ours, key) for key in public}, __all__=list(public))


class _MissingParents(_Loader):
    """Last in line: packages above the two leaf modules, where nobody else has them."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname not in SHARED:
            return None
        return self.spec(fullname, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        # A module's __path__ may be any iterable of folders; importlib walks it anew for every import.
        vars(module)["__path__"] = _LivePath(module.__name__)


class _LivePath:
    """The folders that hold real parts of a made-up package, looked up each time: sys.path may have grown."""

    def __init__(self, package: str) -> None:
        self._parent, _, self._name = package.rpartition(".")

    def __iter__(self) -> Iterator[str]:
        parents = sys.modules[self._parent].__path__ if self._parent else sys.path
        for parent in list(parents):
            folder = os.path.join(parent, self._name)
            if os.path.isdir(folder):
                yield folder
