"""Writes docs/settings.md from the settings' declarations: `python -m inference_server.cli.settings_doc`."""

from __future__ import annotations

import sys
from pathlib import Path

from inference_server.settings import DECLARED, SECTIONS, Declared

PATH = Path(__file__).parents[2] / "docs" / "settings.md"

_HEAD = """# Settings

<!-- Written by `python -m inference_server.cli.settings_doc` from the declarations; do not edit. -->

A setting is taken from the first of these that has it:

1. its flag (`--entry_script score.py`; dashes may stand for underscores),
2. its environment variable (names in any case; an empty value counts as not set),
3. the JSON configuration file, under the name of the variable,
4. the configuration of gunicorn (`./gunicorn.conf.py` or `GUNICORN_CMD_ARGS`) for what it has in common with ours:
   workers, threads, max_requests, max_requests_jitter, keepalive, limit_request_line, limit_request_fields,
   limit_request_field_size, worker_connections, graceful_timeout, backlog and the TLS files,
5. its default.

The configuration file is the one named by `--config_file` or `AZUREML_CONFIG_FILE`, else `config.json` in the app
root, else `config.json` beside the script; a file of 0 bytes is passed over. Names it has beyond these are ignored.

True and false may be written true/false, yes/no, on/off or 1/0, in any case, except where the text says `true`: there
nothing else turns the setting on. Sizes take K, M, G or T (powers of 1024): `512M`, `2GiB`. Times are in the unit
given. A value that cannot be read is named in the log, with where it came from; the command then exits with 3
(1 for a flag and for `WORKER_COUNT`, 2 for `WORKER_TIMEOUT`).

The server sets these for the script: `AML_APP_ROOT`, `AZUREML_ENTRY_SCRIPT`, `SERVER_PORT`, `HEALTH_PORT`,
`WORKER_COUNT`, `TRANSPORT_PROTOCOL`, `AML_APP_INSIGHTS_ENABLED`, `HTTP_X_MS_SERVER_VERSION`, and what was given by flag
under the name of its variable. `SERVER_PORT` and `HEALTH_PORT` are set, not read; but a `HEALTH_PORT` that is
there already stays when the port was not given and health has no port of its own.
"""

_TABLE = """
## {title}

{text}

| flag | variable | default | meaning |
| --- | --- | --- | --- |
"""


def document() -> str:
    """The whole text of docs/settings.md."""
    parts = [_HEAD]
    for section, group in SECTIONS.items():
        parts.append(_TABLE.format(title=section.capitalize(), text=(group.__doc__ or "").strip()))
        parts += [_row(declared) for declared in DECLARED.values() if declared.section == section]
    return "".join(parts)


def _row(declared: Declared) -> str:
    flag = f"`{declared.option}`" if declared.flag else ""
    names = ", ".join(f"`{name}`" for name in declared.env)
    unit = f" In {declared.unit}." if declared.unit else ""
    return f"| {flag} | {names} | {_default(declared)} | {declared.help}{unit} |\n"


def _default(declared: Declared) -> str:
    if declared.default_text or not declared.shown_default:
        return declared.default_text
    return f"`{declared.shown_default}`"


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(document(), encoding="utf-8")
