"""The text of a variable, cut into plain text and the references in it.

postgres://app:${{secret:db-password}}@db/app     one reference, text around it
${{ azureml://connections/search/target }}        spaces inside are nothing
$${{name}}                                        no reference: the script gets ${{name}}
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference_server.errors import InferenceServerError

MARK = "${{"
KINDS = {
    "azureml": "${{azureml://connections/NAME/credentials/KEY}}",
    "keyvault": "${{keyvault:https://VAULT.vault.azure.net/secrets/NAME}}",
    "vault": "${{vault:PATH#FIELD}}",
    "secret": "${{secret:NAME}}",
    "file": "${{file:/PATH}}",
    "env": "${{env:NAME}}",
}
_REFERENCE = re.compile(r"(\$?)\$\{\{(.*?)\}\}", re.DOTALL)


class Unresolved(InferenceServerError):
    """A reference cannot be resolved. The text says why and what to do, and never holds a value."""


@dataclass(frozen=True)
class Reference:
    """Where one value lies: the kind of its source, and the place in it."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{MARK}{self.kind}:{self.place}}}}}"


Piece = str | Reference


def has_reference(text: str) -> bool:
    """Whether there is anything to resolve or to refuse."""
    return MARK in text


def pieces(text: str) -> list[Piece]:
    """The parts of `text`, in order. Raises Unresolved, whose text tells nothing of what stands there."""
    found: list[Piece] = []
    at = 0
    for match in _REFERENCE.finditer(text):
        found.append(_plain(text[at : match.start()]))
        found.append(match.group()[1:] if match[1] else _reference(match[2].strip()))
        at = match.end()
    found.append(_plain(text[at:]))
    return [piece for piece in found if piece]


def _plain(text: str) -> str:
    if MARK in text.replace("$" + MARK, ""):
        raise Unresolved(
            f"a reference begins with {MARK} and never ends with }}}}; write $${{{{ for those signs themselves"
        )
    return text.replace("$" + MARK, MARK)


def _reference(inside: str) -> Reference:
    kind, colon, place = inside.partition(":")
    if not colon or kind not in KINDS:
        raise Unresolved(
            f"a reference of a kind that does not exist: there are {', '.join(KINDS.values())}; "
            "write $${{ for those signs themselves"
        )
    if not place:
        raise Unresolved(f"a reference without a place: write {KINDS[kind]}")
    return Reference(kind, place)
