"""The container engines that can build an image, and what one says when it fails."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inference_server.packing.recipe import PackingError

NAMES = ("docker", "podman", "buildah")
_ANSWER_SECONDS = 20.0
_END_SECONDS = 5.0
_MOST_LINES = 12

_DECISIVE = re.compile(
    r"\berror\b|\bERROR\b|No space left|[Nn]ot found|No such|denied|unauthorized|toomanyrequests|cannot |[Cc]ould not|"
    r"this base has|no matching|unknown flag",
)
_NOISE = re.compile(
    r"level=(?:warning|info)|^STEP |Ignored the following|exit status \d+$|did not complete successfully|-{10,}|^\s*\d+ \|"
)
_PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?|^time=\"[^\"]*\" level=\w+ msg=|^ > ")
_STEP = re.compile(r"^(?:STEP \d+/\d+:|Step \d+/\d+ :|#\d+ \[)")
_HINTS = (
    (
        re.compile(
            r"azmlinfsrv\S*.*(?:not found|denied|unknown|did not resolve|failed to resolve|no such image)",
            re.I,
        ),
        "the server's image is not here: `make images` in the project's folder builds it, or name another with --base",
    ),
    (
        re.compile(r"No matching distribution|Could not find a version", re.I),
        "there is no such package for the base's Python: look at its name and version, or choose another --base",
    ),
    (
        re.compile(r"No space left on device"),
        "the engine's disk is full: `docker system df` says what takes it",
    ),
    (
        re.compile(r"CERTIFICATE_VERIFY_FAILED"),
        "the base does not trust the certificate of the package index",
    ),
)


@dataclass(frozen=True)
class Engine:
    """A program that builds images."""

    name: str
    program: str

    def build_command(self, context: str, tag: str) -> list[str]:
        """The words that build `context`."""
        # podman's own format has no health check; an image that is here is not asked for elsewhere
        own = [] if self.name == "docker" else ["--format", "docker", "--pull=false", "--layers"]
        return [self.program, "build", *own, "-t", tag, context]

    def run_command(self, tag: str, variables: tuple[str, ...] = ()) -> list[str]:
        """The words that run an image; buildah builds for others."""
        program = "podman" if self.name == "buildah" else self.name
        given = [word for name in variables for word in ("-e", name)]
        return [program, "run", "--rm", "-p", "127.0.0.1:5001:5001", *given, tag]

    def build(self, context: Path, tag: str, show: Callable[[str], None]) -> None:
        """Build, calling `show` with each step. Raises BuildFailed."""
        environment = {**os.environ, "BUILDKIT_PROGRESS": "plain"}
        lines: list[str] = []
        with _running(self.build_command(str(context), tag), environment) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if _STEP.match(line):
                    show(line.rstrip("\n"))
            code = process.wait()
        if code:
            raise BuildFailed(self.name, code, lines)


class BuildFailed(PackingError):
    """The engine gave up. `lines` are those that say why; `everything` is all it said."""

    def __init__(self, engine: str, code: int, everything: list[str]) -> None:
        self.lines = decisive(everything)
        self.everything = everything
        hint = next((text for pattern, text in _HINTS if pattern.search("\n".join(everything))), "")
        super().__init__(
            f"{engine} could not build the image (exit code {code}){': ' + hint if hint else ''}"
        )


def find(wanted: str = "", environ: Mapping[str, str] | None = None) -> tuple[Engine | None, list[str]]:
    """The engine to use, and why others are not. Raises PackingError when the one that is wanted cannot be used."""
    reasons = []
    for name in [wanted] if wanted else NAMES:
        program = shutil.which(name, path=(os.environ if environ is None else environ).get("PATH"))
        if program is None:
            reasons.append(f"{name} is not installed")
            continue
        trouble = _trouble(program)
        if not trouble:
            return Engine(name, program), reasons
        reasons.append(f"{name}: {trouble}")
    if wanted:
        raise PackingError(f"--engine {wanted}: {reasons[0]}")
    return None, reasons


def decisive(lines: list[str]) -> list[str]:
    """The lines that say why a build failed: the last ones that speak of an error, else the last of all."""
    clean = [_PREFIX.sub("", line).strip() for line in lines if line.strip() and not _NOISE.search(line)]
    telling = [line for line in clean if _DECISIVE.search(line)]
    return list(dict.fromkeys(telling or clean))[-_MOST_LINES:]


def _trouble(program: str) -> str:
    """Why an engine that is installed cannot be used; "": it can."""
    try:
        asked = subprocess.run(
            [program, "info"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"does not answer within {_ANSWER_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    if asked.returncode == 0:
        return ""
    said = [line for line in asked.stderr.splitlines() if line.strip()]
    return _PREFIX.sub("", said[-1]).strip().strip('"') if said else f"exit code {asked.returncode}"


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which is gone at the end, whatever happened."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    def tell(number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number) if hasattr(os, "killpg") else process.terminate()

    tell(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        tell(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
