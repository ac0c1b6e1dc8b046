"""`azmlinfsrv replay` of recorded requests: which are sent, to whom, and with what they are compared."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from inference_server import fields
from inference_server.cli.command import Parser, fail
from inference_server.cli.replay_outcome import (
    AS_BEFORE,
    NOT_SENT,
    Answered,
    Outcome,
    as_recorded,
    facts,
    judged,
    lines,
    not_sent,
    summary,
)
from inference_server.cli.replay_sending import Sender, ToScript, ToServer, settings_for
from inference_server.cli.terminal import Terminal
from inference_server.errors import SettingsError, StartError
from inference_server.fields import Fields
from inference_server.load.target import BadTarget, reached, target
from inference_server.recording.compare import Tolerance
from inference_server.recording.document import NotRecorded, Recorded, read, read_folder
from inference_server.recording.redaction import MARK
from inference_server.scoring.batching.repro import digest
from inference_server.settings import Settings
from inference_server.settings import read as readers
from inference_server.trial.pretty import path as shown
from inference_server.trial.process import LoadFailed
from inference_server.trial.requests import parse_headers

DIFFERENT = 1
PROG = "azmlinfsrv replay"
# Flags that mean nothing for a mismatch file.
RECORDED_ONLY = ("url", "diff", "break", "only", "rtol", "atol", "ignore", "header", "must_work", "json")


class Unusable(Exception):
    """It cannot be done; the text says why, and what to do."""


def add_options(made: Parser) -> None:
    """The flags of recorded requests."""
    default = Tolerance()
    made.add_argument(
        "--only", metavar="WHICH", help="Only those: failed, good, or the one with this id or file name."
    )
    made.add_argument("--url", metavar="URL", help="Send them to a running server instead of a script.")
    made.add_argument("--yes", action="store_true", help="The server may be another machine's.")
    made.add_argument(
        "--diff", metavar="FILE", help="Compare with the answers of this version of the script."
    )
    made.add_argument(
        "--break",
        action="store_true",
        help="Wait for an editor's debugger, and stop in run() for each request.",
    )
    made.add_argument(
        "--rtol",
        type=_number,
        metavar="X",
        help=f"Numbers so close, relatively, are the same. Default: {default.relative:g}.",
    )
    made.add_argument(
        "--atol",
        type=_number,
        metavar="X",
        help=f"Numbers so close are the same. Default: {default.absolute:g}.",
    )
    made.add_argument(
        "--ignore", type=_fields, metavar="FIELDS", help="Fields of answers that may differ: time,$.meta.id."
    )
    made.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="Sent with every request: a key in the place of the redacted one.",
    )
    made.add_argument(
        "--timeout",
        type=_number,
        default=60.0,
        metavar="SECONDS",
        help="For one answer. Default: 60. 0: any time.",
    )
    made.add_argument(
        "--must_work",
        action="store_true",
        help="Exit with 0 when each request is answered now (status below 400), whatever it was.",
    )
    made.add_argument("--json", action="store_true", help="Report as one JSON object, for other programs.")


def replay(options: argparse.Namespace, settings: Settings) -> int:
    """Send the requests; returns the exit code: 0 all as they were, 1 not all, 2 it cannot be done."""
    try:
        return _Replay(options, settings, _chosen(options)).run()
    except (Unusable, BadTarget, SettingsError) as error:
        return fail(PROG, error)
    except LoadFailed as error:
        return fail(PROG, f"{error.summary}\n{error.detail}".rstrip())
    except StartError as error:
        return fail(PROG, error)


def _chosen(options: argparse.Namespace) -> list[Recorded]:
    """The requests to send. Raises Unusable."""
    if options.url and (options.diff or getattr(options, "break")):
        raise Unusable("--diff and --break run scripts here: leave out --url")
    if options.diff and getattr(options, "break"):
        raise Unusable("--break runs one script: leave out --diff")
    found = _read(options.path)
    only = options.only
    if only is None:
        failed = [one for one in found if one.failed]
        return failed if getattr(options, "break") and failed else found
    if only in ("failed", "good"):
        kept = [one for one in found if one.kind == only]
        if not kept:
            raise Unusable(f"none of the {len(found)} request(s) in {options.path} is a {only} one")
        return kept
    kept = [one for one in found if one.id.startswith(only) or only in os.path.basename(one.file)]
    if not kept:
        raise Unusable(f"no request in {options.path} has the id or the file name {only!r}")
    return kept


def _read(path: str) -> list[Recorded]:
    try:
        if not os.path.isdir(path):
            return [read(path)]
        found, unreadable = read_folder(path)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    except NotRecorded as error:
        raise Unusable(f"{path} is neither a recorded request nor a mismatch file: {error}") from None
    if unreadable:
        terminal = Terminal(sys.stderr)
        of_how_many = f"{len(unreadable)} file{'s' * (len(unreadable) != 1)} in {path}"
        note = f"passed over {of_how_many}, no whole request: {unreadable[0]}"
        terminal.say(terminal.paint(note + ", …" * (len(unreadable) > 1), "yellow"))
    if not found:
        raise Unusable(f"the folder {path} holds no recorded requests; a server keeps them with --record")
    return found


@dataclass
class _Replay:
    options: argparse.Namespace
    settings: Settings
    chosen: Sequence[Recorded]
    _outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._terminal = Terminal()
        self._breaks = bool(getattr(self.options, "break"))
        default = Tolerance()
        rtol, atol = self.options.rtol, self.options.atol
        self._tolerance = Tolerance(
            default.relative if rtol is None else rtol, default.absolute if atol is None else atol
        )
        self._headers = parse_headers(self.options.header)
        self._names = ("then", "now")

    def run(self) -> int:
        """Raises Unusable, BadTarget, SettingsError and StartError."""
        first, second = self._senders()
        try:
            for number, recorded in enumerate(self.chosen, 1):
                if recorded.body.why:
                    self._note(not_sent(recorded, f"its body is not whole: {recorded.body.why}"))
                    continue
                if self._breaks:
                    self._say_held(number, recorded)
                then = as_recorded(recorded)
                if second is not None:
                    then, now = first.send(recorded), second.send(recorded)
                    if then.body is not None:
                        recorded = replace(recorded, redact=())
                else:
                    now = first.send(recorded)
                self._note(self._judged(recorded, then, now))
        finally:
            for sender in (first, second):
                if sender is not None:
                    sender.close()
        return self._conclude()

    def _judged(self, recorded: Recorded, then: Answered, now: Answered) -> Outcome:
        named = fields.of_words((*recorded.redact, *(self.options.ignore or Fields()).words))
        return judged(
            recorded, then, now, self._tolerance, lambda value: named.changed(value, lambda old: MARK)
        )

    # ------------------------------------------------------------ whom to ask

    def _senders(self) -> tuple[Sender, Sender | None]:
        options = self.options
        if options.url:
            where = target(options.url)
            if not where.local and not options.yes:
                raise Unusable(f"{where.host} is another machine: say --yes if requests may be sent there")
            where = reached(where)
            self._head(f"to {options.url}")
            return ToServer(where, options.url, self._headers, options.timeout or None), None
        script = self._script()
        first = self._to_script(script)
        if not options.diff:
            changed = self._changed(script)
            self._head(f"to {shown(script)}{', which has changed since' if changed else ''}")
            return first, None
        try:
            if not os.path.isfile(options.diff):
                raise Unusable(f"there is no script at {options.diff}")
            second = self._to_script(options.diff)
        except BaseException:
            first.close()
            raise
        self._names = (shown(script), shown(os.path.abspath(options.diff)))
        self._head(f"to {self._names[0]} and {self._names[1]}")
        return first, second

    def _script(self) -> str:
        """The script that is named, else the one that the requests were recorded from. Raises Unusable."""
        named = self.settings.script.path
        path = named or self.chosen[0].script
        if os.path.isfile(path):
            return path
        more = "" if named else "; say where it is now with --entry_script"
        raise Unusable(f"there is no script at {path or '(unknown)'}{more}")

    def _to_script(self, script: str) -> ToScript:
        model = self.settings.script.model_dir
        if not model and os.path.isdir(self.chosen[0].model_dir):
            model = self.chosen[0].model_dir
        settings = settings_for(self.settings, script, model, 0 if self._breaks else self.options.timeout)
        if not self._breaks:
            return ToScript(settings, self._headers)
        develop = settings.develop
        return ToScript(settings, self._headers, (develop.debug_host, develop.debug_listen), self._say_attach)

    def _changed(self, script: str) -> bool:
        return digest(script) not in {one.digest for one in self.chosen}

    # ------------------------------------------------------------ saying

    def _head(self, where: str) -> None:
        failed = sum(one.failed for one in self.chosen)
        counts = f"{failed} failed, {len(self.chosen) - failed} good"
        self._say(f"{len(self.chosen)} request{'s' * (len(self.chosen) != 1)} ({counts}) {where}\n")

    def _say_attach(self, port: int) -> None:
        host = self.settings.develop.debug_host
        self._say_aside(
            f"Attach your editor to {host}:{port} (VS Code: azmlinfsrv vscode writes what it needs). "
            "The script is loaded then. Ctrl-C ends this."
        )

    def _say_held(self, number: int, recorded: Recorded) -> None:
        then = f"{recorded.status} {recorded.error}".strip()
        place = recorded.place
        where = f" at {shown(place['file'])}:{place['line']}" if place else ""
        self._say_aside(
            f"Request {number} of {len(self.chosen)}, {shown(recorded.file)}: the editor stops in run(). "
            f"Then: {then}{where}"
        )

    def _note(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._say("\n".join(lines(outcome, self._terminal.paint, self._names)))

    def _say(self, text: str) -> None:
        if not self.options.json:
            self._terminal.say(text)

    def _say_aside(self, text: str) -> None:
        """What a person is told while others may read the report."""
        (Terminal(sys.stderr) if self.options.json else self._terminal).say(text)

    def _conclude(self) -> int:
        outcomes = self._outcomes
        if self.options.json:
            told = {"requests": [facts(outcome) for outcome in outcomes]}
            self._terminal.say(json.dumps(told, indent=2))
        else:
            self._say("\n" + summary(outcomes, self._terminal.paint))
        sent = [outcome for outcome in outcomes if outcome.word != NOT_SENT]
        if not sent:
            raise Unusable("no request could be sent: none has a whole body")
        if self.options.must_work:
            return DIFFERENT if any(not outcome.now or not outcome.now.works for outcome in sent) else 0
        return DIFFERENT if any(outcome.word not in AS_BEFORE for outcome in sent) else 0


def _number(text: str) -> float:
    try:
        return readers.number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fields(text: str) -> Fields:
    try:
        return fields.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
