"""Colours: on a terminal, unless somebody does not want them."""

from __future__ import annotations

import io

import pytest

from inference_server.cli.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Screen(), {}, True),
        (Screen(), {"TERM": "xterm"}, True),
        (Screen(), {"TERM": "dumb"}, False),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": ""}, True),
        (Screen(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False),
    ],
)
def test_colours(stream: io.StringIO, environ: dict[str, str], coloured: bool) -> None:
    assert Terminal(stream, environ).coloured is coloured


def test_text_is_painted_and_its_own_escapes_are_shown() -> None:
    assert Terminal(Screen(), {}).paint("a\x1b[2J", "bold", "red") == "\x1b[1;31ma\\x1b[2J\x1b[0m"
    assert Terminal(io.StringIO(), {}).paint("a", "bold") == "a"


def test_a_console_with_an_old_code_page_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding="cp437", write_through=True)
    Terminal(console, {}).say("№ é")
    assert raw.getvalue().rstrip() == b"? \x82"
