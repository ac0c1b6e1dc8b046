"""Cross-origin headers: which requests get which lines."""

from __future__ import annotations

import pytest

from inference_server.errors import SettingsError
from inference_server.http.cors import Cors


def lines(setting: str | None, method: str = "GET", **headers: str) -> list[str]:
    given = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    raw = Cors(setting).lines(method, given.get).decode("latin-1")
    assert raw == "" or raw.endswith("\r\n")
    return [line.removeprefix("Access-Control-") for line in raw.split("\r\n") if line]


def allowed(origin: str) -> list[str]:
    return [f"Allow-Origin: {origin}", "Vary: Origin"]


@pytest.mark.parametrize(
    ("setting", "origin", "expected"),
    [
        (None, "http://a", []),
        ("", "http://a", []),
        (" , ", "http://a", []),
        ("http://a", "http://a", allowed("http://a")),
        ("http://b, http://a", "http://a", allowed("http://a")),
        ("http://a", "HTTP://A", allowed("HTTP://A")),
        ("http://a", "http://a.evil", []),
        ("http://a", "http://b", []),
        ("www.microsoft.com", "www.microsoft.com", allowed("www.microsoft.com")),
        ("www.microsoft.com", "https://www.microsoft.com", []),
        ("*", "http://a", allowed("http://a")),
        ("*, http://b", "http://a", allowed("http://a")),
        (r"https://.*\.x\.org$", "https://a.x.org", allowed("https://a.x.org")),
        (r"https://.*\.x\.org$", "https://a.x.org.evil", []),
        (r"https://.*\.x\.org$", "see https://a.x.org", []),
        (r"https://[ab]", "HTTPS://B", allowed("HTTPS://B")),
        ("http://b, http://a", "", allowed("http://a")),
        ("http://a", "", allowed("http://a")),
        ("*", "", ["Allow-Origin: *"]),
        (r"http://[ab]", "", []),
        (r"http://[ab], http://z", "", allowed("http://z")),
        ("http://a", "http://\xe9", []),
    ],
)
def test_origins(setting: str | None, origin: str, expected: list[str]) -> None:
    assert lines(setting, origin=origin) == expected
    if not origin:
        assert lines(setting) == expected


def preflight(method: str = "POST", headers: str = "", origin: str = "http://a") -> list[str]:
    asked = {
        "access_control_request_method": method,
        "access_control_request_headers": headers,
        "origin": origin,
    }
    return lines("http://a, http://b", "OPTIONS", **{name: value for name, value in asked.items() if value})


def test_preflight() -> None:
    assert preflight() == [*allowed("http://a"), "Allow-Methods: GET, POST"]
    assert preflight("GET", "X-B, a,,Content-Type") == [
        *allowed("http://a"),
        "Allow-Headers: Content-Type, X-B, a",
        "Allow-Methods: GET, POST",
    ]
    assert preflight("get") == [*allowed("http://a"), "Allow-Methods: GET, POST"]
    assert preflight("PUT", "X-B") == allowed("http://a")
    assert preflight("") == allowed("http://a")
    assert preflight(origin="http://c") == []
    assert preflight(origin="") == [*allowed("http://a"), "Allow-Methods: GET, POST"]


def test_only_options_is_a_preflight() -> None:
    assert lines("http://a", "POST", origin="http://a", access_control_request_method="POST") == allowed(
        "http://a"
    )


def test_a_bad_pattern_is_a_setting_to_fix() -> None:
    with pytest.raises(SettingsError, match=r"AML_CORS_ORIGINS.*'\*\.x\.org'.*https://www\.example\.com"):
        Cors("*.x.org")
