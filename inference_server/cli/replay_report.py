"""What `azmlinfsrv replay` says about what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference_server.load.figures import plural

SHOWN = 60  # characters of a value
BODY = 120  # of a request's body
REQUESTS = 5  # whose differences are shown in full

_UNSTEADY = """\
run() does not answer the same request the same way twice: there is chance, the time or something kept between calls in
it. Such a script is never batched. Seed or remove what is random, and keep no state between calls."""
_COUPLED = """\
run() must treat each row by itself for rows to be joined. Look for what takes all rows of a call together: a mean, a
maximum or a sort over the leading axis, padding to the longest row, an option read once for the whole body, a list
whose length is not that of the rows. Or write run_batch(items), which gets whole requests; or serve it with
--batching off."""
_FAILED = """\
run() must take any number of rows for rows to be joined. Or write run_batch(items), which gets whole requests; or serve
it with --batching off."""
_AGREED = "Start the server again to have the script compared anew."


def report(facts: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the answers differ, and the text. `facts`: of the file; `found`: of the replay."""
    lines = _head(facts, found)
    if found["way"] == "single":
        return False, "\n".join([*lines, f"Requests of this script share no call now: {found['why']}."])
    if found["apart"]:
        return False, "\n".join([*lines, f"These requests share no call now: {found['apart']}."])
    judged = found["requests"]
    count = len(judged)
    unsteady = [at for at, one in enumerate(judged) if one["unsteady"]]
    if unsteady:
        lines += [_unsteady(judged, at, facts["requests"][at].body, count) for at in unsteady[:REQUESTS]]
        return True, "\n".join([*lines, f"{len(unsteady)} of {plural(count, 'request')} differ.", _UNSTEADY])
    failing = [at for at, one in enumerate(judged) if one["error"]]
    if found["together"]:
        return _failed_together(lines, found, failing)
    differing = [at for at, one in enumerate(judged) if one["differs"]]
    if not differing:
        say = f"They agree now: {plural(count, 'request')}, alone and together in one call of {found['rows']} rows."
        return False, "\n".join([*lines, say, _AGREED])
    for at in differing[:REQUESTS]:
        lines += _request(at, count, facts["requests"][at].body)
        lines += _differences(judged[at])
        lines.append("")
    say = f"They differ: {len(differing)} of {plural(count, 'request')}, in one call of {found['rows']} rows."
    return True, "\n".join([*lines, say, _COUPLED])


def _head(facts: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    count = len(facts["requests"])
    lines = [
        f"{plural(count, 'request')} to {facts['script']}",
        f"then:  {facts['why']}",
        f"with:  {_versions(facts)}",
    ]
    if _versions(found) != _versions(facts):
        lines.append(f"now:   {_versions(found)}")
    if facts.get("left_out"):
        left = plural(facts["left_out"], "request")
        lines.append(f"{left} of that call were too large for the file")
    return [*lines, ""]


def _versions(facts: Mapping[str, Any]) -> str:
    libraries = [f"{name} {version}" for name, version in facts["libraries"].items()]
    return ", ".join([f"Python {facts['python']}", *libraries])


def _failed_together(
    lines: Sequence[str], found: Mapping[str, Any], failing: Sequence[int]
) -> tuple[bool, str]:
    count = len(found["requests"])
    if failing:
        at = failing[0]
        say = [
            f"Request {at + 1} of {count} fails alone too: {found['requests'][at]['error']}",
            "So nothing can be said about the others together.",
        ]
        return False, "\n".join([*lines, *say])
    say = [
        f"Each of {plural(count, 'request')} is answered alone; together run() fails:",
        f"    {found['together']}",
    ]
    return True, "\n".join([*lines, *say, "", _FAILED])


def _request(at: int, count: int, body: bytes) -> list[str]:
    return [f"request {at + 1} of {count}: {_cut(body.decode('utf-8', 'replace'), BODY)}"]


def _unsteady(judged: Sequence[Mapping[str, Any]], at: int, body: bytes, count: int) -> str:
    # what compares two answers names them by how they came about; here both are single calls
    said = (
        judged[at]["unsteady"].replace(" alone, ", " at first, ").replace(" in a batch", " when asked again")
    )
    return "\n".join([*_request(at, count, body), f"    {said}", ""])


def _differences(one: Mapping[str, Any]) -> list[str]:
    if not one["fields"]:
        return [f"    {one['differs']}"]
    rows = [("", "alone", "together")]
    rows += [(where, _value(alone), _value(together)) for where, alone, together in one["fields"]]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"    {where:<{widths[0]}}  {alone:<{widths[1]}}  {together}" for where, alone, together in rows]
    return [*lines, f"    … and {one['more']} more"] if one["more"] else lines


def _value(value: Any) -> str:
    return _cut(repr(value) if isinstance(value, str) else str(value), SHOWN)


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
