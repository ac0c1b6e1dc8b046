"""What a code folder holds that does not belong into an image: what its owner says, what nobody needs, what is secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCKER, AZURE = ".dockerignore", ".amlignore"
_NEVER_NEEDED = frozenset(
    [
        "__pycache__",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        "node_modules",
        ".DS_Store",
        ".idea",
        ".vscode",
        ".devcontainer",
        ".dockerignore",
        ".amlignore",
    ]
)
_SECRET_FOLDERS = frozenset([".ssh", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".gnupg"])
_SECRET_FILES = re.compile(
    r"\.env(?!\.(?:example|sample|template)$)(?:\..*)?|.*\.(?:key|pfx|p12|jks|keystore|kdbx)|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|\.netrc|_netrc|\.pypirc|\.pgpass|\.npmrc|\.git-credentials|credentials(?:\.json)?|kubeconfig"
    r"|service[-_]account.*\.json|secrets?\.(?:json|ya?ml|toml|env)",
    re.IGNORECASE,
)
_LOOKED_INTO = 65536  # bytes of a file that are searched for a private key
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDINGS = (".pem", ".crt", ".cer", ".txt", "")


@dataclass(frozen=True)
class Rule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    keeps: bool  # it began with «!»


class IgnoreFile:
    """The rules of a folder's .dockerignore, else of its .amlignore; none where there is neither."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules
        self.keep_some = any(rule.keeps for rule in rules)  # what lies in an ignored folder may be wanted

    @classmethod
    def of(cls, folder: Path) -> IgnoreFile:
        """Read the folder's own."""
        for name in (DOCKER, AZURE):
            file = folder / name
            if file.is_file():
                lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
                return cls(list(_rules(lines, anywhere=name == AZURE)))
        return cls()

    def ignores(self, path: str) -> bool:
        """Whether a path from the folder, with slashes, stays out; the last rule that fits it or a parent decides."""
        parts = path.split("/")
        ancestors = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        ignored = False
        for rule in self._rules:
            if ignored is rule.keeps and any(rule.pattern.fullmatch(item) for item in ancestors):
                ignored = not rule.keeps
        return ignored


def is_never_needed(name: str) -> bool:
    """Whether a file or folder of this name is left out without a word."""
    return name in _NEVER_NEEDED or name.endswith((".pyc", ".pyo", ".swp"))


def is_secret_folder(name: str) -> bool:
    """Whether a folder of this name holds credentials."""
    return name in _SECRET_FOLDERS


def is_secret(file: Path) -> bool:
    """Whether a file holds what must not be in an image: told by its name, or by a private key inside."""
    if _SECRET_FILES.fullmatch(file.name):
        return True
    if file.suffix.lower() not in _KEY_ENDINGS:
        return False
    with file.open("rb") as content:
        return _PRIVATE_KEY.search(content.read(_LOOKED_INTO)) is not None


def _rules(lines: Iterable[str], anywhere: bool) -> Iterable[Rule]:
    """`anywhere`: a pattern without an inner slash fits in every folder, as git has it."""
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        keeps = text.startswith("!")
        text = text[1:].strip() if keeps else text
        rooted = text.startswith("/")
        text = text.strip("/")
        while text.startswith("./"):
            text = text[2:]
        if not text or text == ".":
            continue
        if anywhere and not rooted and "/" not in text:
            text = f"**/{text}"
        yield Rule(re.compile(_expression(text)), keeps)


def _expression(pattern: str) -> str:
    result, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            result, at = result + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            result, at = result + ".*", at + 2
        elif pattern[at] == "*":
            result, at = result + "[^/]*", at + 1
        elif pattern[at] == "?":
            result, at = result + "[^/]", at + 1
        elif pattern[at] == "[" and "]" in pattern[at + 2 :]:
            end = pattern.index("]", at + 2)
            inside = pattern[at + 1 : end].replace("\\", "\\\\")
            result += "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]"
            at = end + 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            result, at = result + re.escape(pattern[at + 1]), at + 2
        else:
            result, at = result + re.escape(pattern[at]), at + 1
    return result
