"""The swagger documents of a script, in the three versions that can be asked for.

A file in the app root wins over a generated document. The wording of the generated ones is part of the
contract: clients compare whole documents.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from inference_server.scoring import openapi
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.encode import to_json
from inference_server.scoring.errors import UserScriptError

# version -> (its name in inference_schema, the user's files in order of precedence)
VERSIONS: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "2": ("2.0", ("swagger.json", "swagger2.json")),
    "3": ("3.0", ("swagger3.json",)),
    "3.1": ("3.1", ("swagger3.1.json",)),
}

logger = logging.getLogger("azmlinfsrv.swagger")


def is_decorated(run: Callable[..., Any]) -> bool:
    """Whether run() carries a decorator of inference_schema. It is not imported when the script did not."""
    schema_util = sys.modules.get("inference_schema.schema_util")
    if schema_util is None:
        return False
    try:
        return bool(schema_util.is_schema_decorated(run))
    except (ValueError, RecursionError):  # it walks the closures of run(), which may be empty or circular
        return False


def forget(module: str) -> None:
    """Have inference_schema forget the functions of that module: it knows them by name, and a later script's
    run() would pass for an earlier one's."""
    schema_util = sys.modules.get("inference_schema.schema_util")
    for registry in ("__functions_schema__", "__versions__"):
        known = getattr(schema_util, registry, {})
        for name in [name for name in known if name.startswith(module + ".")]:
            del known[name]


def prepare(config: ScoringConfig, run: Optional[Callable[..., Any]]) -> Dict[str, Any]:
    """Every document this script can have, by version.

    `run` is the schema-decorated function, None for a script without schemas. A version is left out when the
    schemas cannot be said in it. Raises UserScriptError for a user's file that is not JSON.
    """
    documents: Dict[str, Any] = {}
    shapes = _shapes(run)
    for version, (schema_version, files) in VERSIONS.items():
        document = _from_file(config.app_root, version, files)
        if not document and schema_version in shapes.versions:
            document = openapi.document(version, config, shapes.input, shapes.output)
        if document:
            documents[version] = document
    _log(documents)
    return documents


class _Shapes:
    """The schemas of a script, as JSON, and the versions that can express them."""

    def __init__(self, input: Any, output: Any, versions: List[str]) -> None:
        self.input = input
        self.output = output
        self.versions = versions


def _shapes(run: Optional[Callable[..., Any]]) -> _Shapes:
    every = [schema_version for schema_version, _ in VERSIONS.values()]
    if run is None:
        return _Shapes({"type": "object", "example": {}}, {"type": "object", "example": {}}, every)
    schema_util = sys.modules["inference_schema.schema_util"]
    try:
        # Through JSON: samples may hold numpy values, and the documents leave this process.
        shapes = json.loads(to_json([schema_util.get_input_schema(run), schema_util.get_output_schema(run)]))
        return _Shapes(shapes[0], shapes[1], schema_util.get_supported_versions(run))
    except (TypeError, ValueError) as error:
        logger.warning("The samples of the schema decorators cannot be shown as JSON: %s", error)
        return _Shapes({}, {}, [])


def _from_file(app_root: str, version: str, files: Tuple[str, ...]) -> Any:
    for name in files:
        path = os.path.join(app_root, name)
        if not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                document = json.loads(file.read())
        except (OSError, ValueError) as error:
            raise UserScriptError(
                f"The swagger file {path} cannot be read as JSON: {error}. Repair or remove it."
            ) from error
        logger.info("Loaded user's swagger file for version [%s] from %s", version, path)
        return document
    return None


def _log(documents: Dict[str, Any]) -> None:
    skipped = [version for version in VERSIONS if version not in documents]
    ready = ", ".join(documents)
    if not documents:
        logger.info("No swagger is prepared.")
    elif skipped:
        logger.info(
            "Swaggers are prepared for versions [%s] and skipped for versions [%s].",
            ready,
            ", ".join(skipped),
        )
    else:
        logger.info("Swaggers are prepared for the following versions: [%s].", ready)
