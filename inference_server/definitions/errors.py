"""What is wrong with a definition: every problem of it at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inference_server.errors import InferenceServerError


@dataclass(frozen=True)
class Remark:
    """One sentence about one field.

    `where`: `deployment.yml:12`, or `--set instance_count=2`, or what else the value comes from. `field`: its path from
    the top of the file, "" for the whole. `line` orders the remarks of a file; 0 where there is none.
    """

    where: str
    field: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.where, self.field, self.message) if part)
        return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


class DefinitionError(InferenceServerError):
    """A definition cannot be used. The text has a line for each problem: where, which field, what to write."""

    def __init__(self, problems: Iterable[Remark]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
