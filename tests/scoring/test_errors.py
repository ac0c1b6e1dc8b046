from __future__ import annotations

import json

from inference_server.scoring import errors
from inference_server.scoring.errors import UserScriptError, describe_failure, internal_error, timed_out


def raised(function: object) -> BaseException:
    assert callable(function)
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_texts_callers_see() -> None:
    timeout = timed_out(500)
    assert (timeout.status, timeout.failed) == (500, True)
    assert timeout.body == b'{"message": "Scoring timeout after 500 ms"}'
    internal = internal_error(ValueError("secret"))
    assert (internal.status, internal.failed) == (500, False)
    assert internal.body == (
        b'{"message": "An unexpected internal error occurred. Check the logs for more info."}'
    )


def test_the_place_is_the_users_own_frame_not_the_librarys() -> None:
    summary, detail = describe_failure(raised(lambda: json.loads("{")), __file__)
    assert summary.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert f"({__file__}, line " in summary
    assert "json/decoder.py" in detail
    elsewhere = describe_failure(raised(lambda: json.loads("{")), "/no/score.py")[0]
    assert f"({__file__}, line " in elsewhere


def test_a_summary_is_one_short_line() -> None:
    def fail() -> None:
        raise ValueError("a\nb\x1b[31m" + "x" * 1000)

    summary, _ = describe_failure(raised(fail), __file__)
    assert summary.startswith("ValueError: a b [31mxxx")
    assert summary.isprintable()
    assert len(summary) < 700


def test_an_exception_that_cannot_be_printed() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fail() -> None:
        raise Odd

    assert "Odd: <" in describe_failure(raised(fail), __file__)[0]


def test_an_exception_without_a_traceback() -> None:
    assert describe_failure(ValueError("x"), "f") == ("ValueError: x", "ValueError: x")


def test_a_wrapped_failure_is_seen_through() -> None:
    def fail() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise UserScriptError.of("wrapped", error) from error

    error = raised(fail)
    assert isinstance(error, UserScriptError)
    assert describe_failure(error, __file__) == describe_failure(error.__cause__, __file__)  # type: ignore[arg-type]
    assert error.detail.endswith("inference_server.scoring.errors.UserScriptError: wrapped")
    assert errors.failure_log(error).startswith("Encountered Exception: json.decoder.JSONDecodeError: ")
