"""Why an installer failed: the few of its lines that decide, and one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_LINES = 12
_BOXES = re.compile(r"^[\s×╰─▶│├╭┬┴┐┘└┌╯╮⎿]*(?:cause: )?")
_DISK = (
    "no space left on device",
    "os error 28",
    "enospc",
    "not enough space on the disk",
    "disk quota exceeded",
)
_NETWORK = (
    "dns error",
    "error sending request",
    "failed to fetch",
    "failed to establish a new connection",
    "temporary failure in name resolution",
    "name or service not known",
    "could not connect to server",
    "connection refused",
    "connection timed out",
    "network is unreachable",
    "condahttperror",
    "could not resolve host",
    "download error",
)
_MISSING = (
    re.compile(r"Because (\S+) was not found in the package registry"),
    re.compile(r"satisfies the requirement ([A-Za-z0-9._-]+)\S* \(from versions: none\)"),
    re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)"),
)
_STEPS = ("Because", "And because")
_UV_HEADS = ("× ", "error:")
_CONDA_HEADS = (
    "error",
    "critical",
    "resolvepackagenotfound",
    "packagesnotfounderror",
    "libmambaunsatisfiableerror",
)


def decisive(output: Sequence[str]) -> list[str]:
    """The lines of an installer's output that say why it failed, without drawing around them; at most MOST_LINES."""
    begins = [number for number, line in enumerate(output) if _is_head(line)]
    if any(line.startswith("ERROR:") for line in output):  # pip
        lines = [line for line in output if line.startswith(("ERROR:", "    "))]
        lines = [line.removeprefix("ERROR:").strip() for line in lines if line.strip()]
    elif begins:
        lines = _unwrapped(output[begins[0] :])
    else:
        lines = [line.strip() for line in output if line.strip()][-MOST_LINES // 2 :]
    if len(lines) > MOST_LINES:  # the first say what, the last why
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} more lines", *lines[-half:]]
    return [lines[0].removeprefix("error: "), *lines[1:]] if lines else []


def missing_package(output: Sequence[str]) -> str:
    """The package that is not on the index; "" where that was not why."""
    text = " ".join(_BOXES.sub("", line).strip() for line in output)
    for pattern in _MISSING:
        if match := pattern.search(text):
            return match[1]
    return ""


def reason(output: Sequence[str]) -> str:
    """Why, in a few words, where that is told from what the installer wrote; "" otherwise."""
    text = "\n".join(output).lower()
    if missing := missing_package(output):
        return f"{missing} is not on the package index"
    if any(words in text for words in _DISK):
        return "the disk is full"
    if any(words in text for words in _NETWORK):
        return "the package index cannot be reached: see to the network, the proxy, or the index's address"
    if "no solution found" in text or "resolutionimpossible" in text or "unsatisfiable" in text:
        return "there are no versions of the packages that fit together"
    if "no matching distribution" in text or "there is no version of" in text:
        return "a version that is asked for is not on the index"
    if "failed to build" in text or "failed building wheel" in text or "metadata-generation-failed" in text:
        return "a package has no wheel for this Python and platform, and cannot be built here"
    return ""


def _is_head(line: str) -> bool:
    bare = line.strip()
    return bare.startswith(_UV_HEADS) or bare.lower().startswith(_CONDA_HEADS)


def _unwrapped(output: Sequence[str]) -> list[str]:
    """Lines without what is drawn around them; uv's argument why there is no solution has a line for each step."""
    result: list[str] = []
    argues = False
    for line in output:
        bare = _BOXES.sub("", line).rstrip()
        if not bare:
            argues = False
        elif argues and not bare.startswith(_STEPS):
            result[-1] += " " + bare
        else:
            result.append(bare)
            argues = bare.startswith(_STEPS)
    return result
