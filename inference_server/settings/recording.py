"""The settings of keeping requests, to be sent again later."""

from __future__ import annotations

from dataclasses import dataclass

from inference_server import fields
from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.read import size, text, whole

MIB = 1024**2


def _percent(value: str) -> float:
    result = read.number(value.strip().removesuffix("%"))
    if result > 100:
        raise ValueError(f"expects a share of 100, got {value!r}")
    return result


def _named(value: str) -> str:
    fields.parse(value)
    return value


@dataclass(frozen=True)
class RecordingSettings:
    """Requests that failed, and a few that did not, are kept in a folder for `azmlinfsrv replay`."""

    record: str = setting(
        "",
        text,
        "The folder for requests to be kept in, with their bodies and answers. Empty: nothing is kept.",
        flag=True,
        is_path=True,
    )
    record_sample: float = setting(
        0.1, _percent, "How many of the requests that succeeded are kept.", unit="percent", flag=True
    )
    record_redact: str = setting(
        "",
        _named,
        "What is not kept: headers, query parameters and JSON fields by their names, fields by their paths, separated "
        "by commas: `x-tenant,ssn,$.customer.name`. Authorization, cookies, keys and tokens in headers never are.",
        flag=True,
    )
    record_limit: int = setting(
        256 * MIB,
        size,
        "How large the folder may grow. Those that succeeded leave first, then the oldest.",
        unit="bytes",
        flag=True,
        default_text="256 MiB",
    )
    record_files: int = setting(2000, whole(1), "How many requests the folder may hold.", flag=True)
    record_body_limit: int = setting(
        MIB,
        size,
        "Of a larger body only the beginning is kept.",
        unit="bytes",
        flag=True,
        default_text="1 MiB",
    )
