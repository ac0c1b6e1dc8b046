"""What a verb answers, in the forms that `az` prints: -o json, yaml, table, tsv, none, and --query.

A script that reads the output of `az ml …` reads ours: same indentation, order of keys, columns and separators.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inference_server.cli.terminal import Terminal
from inference_server.errors import InferenceServerError
from inference_server.scoring.logs import escape_controls

FORMATS = ("json", "jsonc", "yaml", "yamlc", "table", "tsv", "none")
NO_JMESPATH = "--query needs jmespath: pip install 'azmlinfsrv[endpoints]'"
NO_YAML = "-o yaml needs PyYAML: pip install 'azmlinfsrv[endpoints]'"
_NOT_IN_TABLES = ("id", "type", "etag", "revision")
_MARGIN = 2  # a column is so much wider than its heading, at least


def add_output_flags(parser: argparse._ActionsContainer) -> None:
    """-o and --query, under the names `output` and `query`."""
    parser.add_argument(
        "-o", "--output", choices=FORMATS, default="json", metavar="FORMAT", help=f"{', '.join(FORMATS)}."
    )
    parser.add_argument("--query", metavar="JMESPATH", type=_query, help="Which part of the answer to print.")


def show(value: Any, options: argparse.Namespace) -> None:
    """Print what a verb answers, as its flags ask for. Nothing is printed for None. Raises InferenceServerError when a
    library is missing or the query cannot be run over this answer."""
    asked = options.query is not None
    if asked:
        value = _part(value, options.query)
    text = written(value, options.output, ordered=asked)
    if text:
        Terminal().say(text)


def written(value: Any, form: str, ordered: bool = False) -> str:
    """An answer as text, without a line break at its end. `ordered`: a table's columns stand as in the value."""
    if value is None or form == "none":
        return ""
    if form.startswith("yaml"):
        return _yaml(value)
    if form == "tsv":
        return "\n".join(_tsv_line(item) for item in (value if isinstance(value, list) else [value]))
    if form == "table":
        return _table(value if isinstance(value, list) else [value], ordered)
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _query(text: str) -> Any:
    """The compiled query. Raises ArgumentTypeError with its place of error."""
    try:
        import jmespath
    except ImportError:
        raise argparse.ArgumentTypeError(NO_JMESPATH.removeprefix("--query ")) from None
    try:
        return jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        reason = " ".join(str(error).split())
        raise argparse.ArgumentTypeError(f"{text!r} is no JMESPath: {reason}") from None


def _part(value: Any, query: Any) -> Any:
    import jmespath

    try:
        return query.search(value)
    except jmespath.exceptions.JMESPathError as error:
        raise InferenceServerError(
            f"--query does not fit this answer: {' '.join(str(error).split())}"
        ) from None


def _yaml(value: Any) -> str:
    try:
        import yaml
    except ImportError:
        raise InferenceServerError(NO_YAML) from None
    text: str = yaml.safe_dump(value, default_flow_style=False, allow_unicode=True)
    return text.rstrip("\n")


def _tsv_line(item: Any) -> str:
    if isinstance(item, Mapping):
        return "\t".join(_tsv_cell(item[name]) for name in sorted(item))
    if isinstance(item, list):
        return "\t".join(map(_tsv_cell, item))
    return _tsv_cell(item)


def _tsv_cell(value: Any) -> str:
    """One value; of a list its length, of an object nothing: the number of columns stays the same."""
    if isinstance(value, list):
        return str(len(value))
    return "" if isinstance(value, Mapping) else str(value)


def _table(items: Sequence[Any], ordered: bool) -> str:
    rows = [_row(item, ordered) for item in items]
    heads = list(dict.fromkeys(name for row in rows for name in row))
    if not heads:
        return ""
    cells = [[escape_controls(row.get(head, "")) for head in heads] for row in rows]
    widths = [max(len(head) + _MARGIN, *(len(row[at]) for row in cells)) for at, head in enumerate(heads)]
    lines = [heads, ["-" * width for width in widths], *cells]
    return "\n".join(_aligned(line, widths) for line in lines)


def _row(item: Any, ordered: bool) -> dict[str, str]:
    """What of an item a table shows: no ids, nothing that has parts itself."""
    if isinstance(item, list):
        return {f"Column{number}": str(value) for number, value in enumerate(item, 1)}
    if not isinstance(item, Mapping):
        return {"Result": str(item)}
    return {
        name[:1].upper() + name[1:]: str(item[name])
        for name in (item if ordered else sorted(item))
        if name not in _NOT_IN_TABLES
        and item[name] is not None
        and not isinstance(item[name], (list, Mapping))
    }


def _aligned(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
