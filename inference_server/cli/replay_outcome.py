"""What became of a request that was sent again, and how that is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference_server.recording.compare import Difference, Prepare, Tolerance, differences
from inference_server.recording.document import Recorded
from inference_server.trial import pretty

SAME, FAILS_AGAIN = "same", "fails again"
NOW_WORKS, NOW_FAILS = "now works", "now fails"
DIFFERS, FAILS_OTHERWISE, NOT_SENT = "differs", "fails differently", "not sent"
AS_BEFORE = (SAME, FAILS_AGAIN)
_ORDER = (NOW_FAILS, FAILS_OTHERWISE, DIFFERS, NOW_WORKS, FAILS_AGAIN, SAME, NOT_SENT)
_COLOURS = {SAME: "dim", NOT_SENT: "yellow", NOW_WORKS: "green", FAILS_AGAIN: "yellow"}
_PLURALS = {
    FAILS_AGAIN: "fail again",
    NOW_WORKS: "now work",
    NOW_FAILS: "now fail",
    DIFFERS: "differ",
    FAILS_OTHERWISE: "fail differently",
}
_DIED = (0, 500)  # of a process that dies there is no answer; its server says 500
MOST = 20  # differences of one answer that are shown
_SHOWN = 60  # characters of a value

Paint = Callable[..., str]


@dataclass(frozen=True)
class Answered:
    """An answer, of then or of now. `status` 0: there was none."""

    status: int
    content_type: str
    body: bytes | None  # None: not kept
    error: str = ""
    place: Mapping[str, Any] | None = None
    milliseconds: float | None = None
    broken: bool = False  # it failed, whatever its status says

    @property
    def works(self) -> bool:
        return 100 <= self.status < 400 and not self.broken


@dataclass(frozen=True)
class Outcome:
    """One request. `differences` are empty unless the word is DIFFERS or FAILS_OTHERWISE."""

    recorded: Recorded
    word: str
    then: Answered
    now: Answered | None  # None: not sent
    differences: Sequence[Difference] = ()
    note: str = ""


def as_recorded(recorded: Recorded) -> Answered:
    """The answer that was recorded."""
    return Answered(
        recorded.status,
        recorded.content_type,
        None if recorded.answer.why else recorded.answer.data,
        recorded.error,
        recorded.place,
        recorded.milliseconds,
        recorded.failed,
    )


def judged(
    recorded: Recorded, then: Answered, now: Answered, tolerance: Tolerance, prepare: Prepare
) -> Outcome:
    """What the answer of now is, beside that of then."""
    if then.works != now.works:
        return Outcome(recorded, NOW_WORKS if now.works else NOW_FAILS, then, now)
    found = [Difference("status", then.status, now.status)] if then.status != now.status else []
    if not now.works:
        if then.status in _DIED and now.status in _DIED:
            found = []
        kinds = [answer.error.partition(":")[0] for answer in (then, now)]
        if all(kinds) and kinds[0] != kinds[1] and now.status and then.status:
            found.append(Difference("error", then.error, now.error))
        return Outcome(recorded, FAILS_OTHERWISE if found else FAILS_AGAIN, then, now, found)
    if _media(then.content_type) != _media(now.content_type):
        found.append(Difference("content type", then.content_type, now.content_type))
    note = ""
    if then.body is None or now.body is None:
        note = f"its body was not compared: {recorded.answer.why}"
    else:
        found += differences(then.body, now.body, tolerance, prepare)
    return Outcome(recorded, DIFFERS if found else SAME, then, now, found, note)


def not_sent(recorded: Recorded, why: str) -> Outcome:
    """A request whose body is not whole."""
    return Outcome(recorded, NOT_SENT, as_recorded(recorded), None, note=why)


def lines(outcome: Outcome, paint: Paint, names: tuple[str, str] = ("then", "now")) -> list[str]:
    """What is said of one request. `names`: how the two answers are called."""
    word, then, now = outcome.word, outcome.then, outcome.now
    mark = paint(f"{word:{len(FAILS_OTHERWISE)}}", _COLOURS.get(word, "red"), *_bold(word))
    time = f"  {pretty.milliseconds(now.milliseconds)}" if now and now.milliseconds is not None else ""
    status = f"  {now.status or 'no answer'}{time}" if now is not None and word in AS_BEFORE else ""
    found = [f"{mark}  {paint(pretty.path(outcome.recorded.file))}{status}"]
    if word in (NOW_WORKS, NOW_FAILS):
        found += _said(names, then, now, paint)
    elif word == FAILS_AGAIN and now is not None:
        found += _failure(now, paint)
    found += _table(outcome.differences, names, paint)
    if word == FAILS_OTHERWISE and now is not None:
        found += _failure(now, paint)
    if outcome.note:
        found.append(paint(outcome.note, "dim"))
    if outcome.differences and "body" in outcome.recorded.redacted:
        found.append(
            paint("fields of its body were redacted: the answer may differ for that alone", "yellow")
        )
    return [found[0], *("    " + line for line in found[1:])]


def summary(outcomes: Sequence[Outcome], paint: Paint) -> str:
    """`3 requests: 1 now works, 2 same`."""
    counts = Counter(outcome.word for outcome in outcomes)
    parts = [
        paint(f"{count} {word if count == 1 else _PLURALS.get(word, word)}", _COLOURS.get(word, "red"))
        for word in _ORDER
        if (count := counts[word])
    ]
    return f"{len(outcomes)} request{'s' * (len(outcomes) != 1)}: {', '.join(parts)}"


def facts(outcome: Outcome) -> dict[str, Any]:
    """One request for other programs."""
    return {
        "file": outcome.recorded.file,
        "id": outcome.recorded.id,
        "outcome": outcome.word,
        "then": _answer_facts(outcome.then),
        "now": outcome.now and _answer_facts(outcome.now),
        "differences": [difference._asdict() for difference in outcome.differences],
        "note": outcome.note,
    }


def _bold(word: str) -> tuple[str, ...]:
    return () if word == SAME else ("bold",)


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _said(names: tuple[str, str], then: Answered, now: Answered | None, paint: Paint) -> list[str]:
    width = max(map(len, names))
    found = []
    for name, answer in zip(names, (then, now), strict=True):
        if answer is None:
            continue
        found.append(f"{name:{width}}  {answer.status or 'no answer'}  {paint(_first(answer))}")
        found += [" " * width + "  " + line for line in _place(answer, paint)]
    return found


def _failure(answer: Answered, paint: Paint) -> list[str]:
    return [*([paint(answer.error, "red")] if answer.error else []), *_place(answer, paint)]


def _place(answer: Answered, paint: Paint) -> list[str]:
    place = answer.place
    if not place:
        return []
    within = f" in {place['function']}()" if str(place["function"]).isidentifier() else ""
    where = paint(f"{pretty.path(place['file'])}:{place['line']}", "cyan")
    return [where + within, *(["    " + paint(place["source"], "bold")] if place["source"] else [])]


def _first(answer: Answered) -> str:
    """The error, else the beginning of the body."""
    return answer.error or _cut((answer.body or b"").decode("utf-8", "replace"), 2 * _SHOWN)


def _table(found: Sequence[Difference], names: tuple[str, str], paint: Paint) -> list[str]:
    if not found:
        return []
    rows = [("", *names)]
    rows += [(one.path, _value(one.then), _value(one.now)) for one in found[:MOST]]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    made = [paint(f"{where:<{widths[0]}}  {then:<{widths[1]}}  {now}") for where, then, now in rows]
    made[0] = paint(made[0], "dim")
    return [*made, f"… and {len(found) - MOST} more"] if len(found) > MOST else made


def _value(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _SHOWN)


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _answer_facts(answer: Answered) -> dict[str, Any]:
    place = answer.place
    return {
        "status": answer.status or None,
        "works": answer.works,
        "error": answer.error,
        "place": dict(place) if place else None,
        "milliseconds": answer.milliseconds,
    }
