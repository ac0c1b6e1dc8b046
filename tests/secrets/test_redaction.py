"""What stands in place of a value wherever one would show. In a process of its own: what is hidden stays hidden."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from tests.tools import ROOT

VALUE = 'line one "quoted"\nline two/ü'


def told(code: str, *values: str) -> str:
    """What a process prints that keeps `values` to itself; it knows the first as `value`."""
    head = f"""
        import json, logging, os, sys, threading
        sys.path.insert(0, {str(ROOT)!r})
        from inference_server.scoring import redaction
        value = {values[0]!r}
        os.environ[redaction.VARIABLE] = json.dumps({list(values)!r})
        redaction.start()
        assert redaction.VARIABLE not in os.environ
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert "SyntaxError" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_however_it_is_written() -> None:
    code = """
        from urllib.parse import quote
        for text in (value, repr(value), json.dumps(value), json.dumps(value, ensure_ascii=False), quote(value, "")):
            print(text)
            print("<", text, ">", sep="", file=sys.stderr)
        print(redaction.redacted_bytes(b"\\xff" + value.encode()))
        """
    said = told(code, VALUE)
    assert "line" not in said
    assert "<***>" in said
    assert "b'\\xff***'" in said


def test_tracebacks_threads_and_every_handler() -> None:
    code = """
        import io
        own = io.StringIO()
        handler = logging.StreamHandler(own)
        handler.setFormatter(logging.Formatter("own %(message)s"))
        log = logging.getLogger("mine")
        log.addHandler(handler)
        try:
            raise ValueError(value)
        except ValueError:
            log.exception("failed with %s", value)
        print(own.getvalue())
        thread = threading.Thread(target=lambda: int(value))
        thread.start()
        thread.join()
        raise KeyError(value)
        """
    said = told(code, "hunter2-hunter2")
    assert "hunter2" not in said
    assert "own failed with ***" in said
    assert "ValueError: ***" in said
    assert "invalid literal for int() with base 10: '***'" in said
    assert "KeyError: '***'" in said


def test_short_values_stay_and_longer_ones_come_first() -> None:
    said = told("print('short begin-begin begin-begin-end end')", "short", "begin-begin", "begin-begin-end")
    assert said == "short *** *** end\n"


def test_nothing_is_changed_where_nothing_is_hidden() -> None:
    code = """
        import sys, logging
        sys.path.insert(0, %r)
        before = (sys.stdout, sys.stderr, logging.Handler.format)
        from inference_server.scoring import redaction
        redaction.start()
        assert (sys.stdout, sys.stderr, logging.Handler.format) == before
        body = b"body"
        assert redaction.redacted_bytes(body) is body
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code) % str(ROOT)], check=True)


def test_standard_streams_that_were_closed() -> None:
    code = "sys.stdout = None\nredaction.hide(['more-more-more'])\nredaction.start()\nsys.stderr.write('more-more-more')"
    assert told(code, "hunter2-hunter2") == "***"
