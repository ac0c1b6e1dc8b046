"""The local store: one file of encrypted values, which `azmlinfsrv secret` fills and `${{secret:NAME}}` reads.

Names and dates stand in it as they are, so that listing needs no key; each value is encrypted for its own name, so
that none can be put in another's place. Writing replaces the file as a whole, one command at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from inference_server.secrets import cipher, keys
from inference_server.secrets.private_file import locked, write_private
from inference_server.secrets.reference import Unresolved
from inference_server.settings import SecretSettings, store_path

FORMAT = "azmlinfsrv secrets 1"
NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
NAME_LENGTH = 200
NAME_FORM = f"letters, digits, _ . - and / between them, {NAME_LENGTH} characters at most"
_CHECK = "check"  # is encrypted as a value of no name: tells a wrong key


class Entry(NamedTuple):
    """One secret, without its value."""

    name: str
    set_at: str  # ISO 8601, UTC


@dataclass
class _Content:
    key: dict[str, str]  # where the key is, as keys.py has it
    check: str
    secrets: dict[str, dict[str, str]]  # by name: "set" and "value"


class Store:
    """The file at `path`, which need not be there yet. `passphrase` is asked for when one is needed; "": none is set."""

    def __init__(self, path: Path, passphrase: Callable[[], str]) -> None:
        self.path = path
        self._passphrase = passphrase

    def entries(self) -> list[Entry]:
        """All names, in order. Raises Unresolved for a file that cannot be read."""
        content = self._read()
        return (
            [Entry(name, content.secrets[name]["set"]) for name in sorted(content.secrets)] if content else []
        )

    def get(self, name: str) -> str:
        """A value. Raises Unresolved."""
        content = self._read()
        if content is None:
            raise Unresolved(
                f"there is no file of secrets {self.path}: set it with azmlinfsrv secret set {name}"
            )
        if name not in content.secrets:
            raise Unresolved(f"no such secret in {self.path}: set it with azmlinfsrv secret set {name}")
        key = self._key(content)
        return cipher.opened(key, content.secrets[name]["value"], name, self.path)

    def set(self, name: str, value: str) -> str:
        """Keep a value, in place of one of that name; returns what is to be known about a key made for it, or "".

        Raises Unresolved.
        """
        check_name(name)
        with self._writing():
            content, note = self._read(), ""
            if content is None:
                made = keys.make(self.path, self._passphrase())
                note = made.note
                content = _Content(made.where, cipher.sealed(made.key, _CHECK, ""), {})
                key = made.key
            else:
                key = self._key(content)
            value = cipher.sealed(key, value, name)
            content.secrets[name] = {
                "set": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "value": value,
            }
            self._write(content)
        return note

    def remove(self, name: str) -> bool:
        """Forget a value; False: there was none. Raises Unresolved."""
        if not self.path.exists():
            return False
        with self._writing():
            content = self._read()
            if content is None or content.secrets.pop(name, None) is None:
                return False
            self._write(content)
        return True

    @property
    def key_place(self) -> str:
        """Where its key is, in words; "": there is no store yet. Raises Unresolved."""
        content = self._read()
        return keys.place(content.key, self.path) if content else ""

    def _key(self, content: _Content) -> bytes:
        try:
            key = keys.find(content.key, self.path, self._passphrase)
        except (KeyError, ValueError):
            raise self._damaged() from None
        cipher.opened(key, content.check, "", self.path, keys.place(content.key, self.path))
        return key

    def _read(self) -> _Content | None:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unresolved(f"the file of secrets {self.path} cannot be read: {error.strerror}") from None
        try:
            return _content(json.loads(raw))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._damaged() from None

    def _damaged(self) -> Unresolved:
        return Unresolved(
            f"the file of secrets {self.path} is damaged: put a copy back, or remove it and set the secrets again"
        )

    def _write(self, content: _Content) -> None:
        text = json.dumps(
            {"format": FORMAT, "key": content.key, "check": content.check, "secrets": content.secrets},
            indent=1,
        )
        write_private(self.path, text.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The only one who writes: the folder is there, and others wait."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.path.with_name(self.path.name + ".lock")):
                yield
        except OSError as error:
            raise Unresolved(f"the file of secrets {self.path} cannot be written: {error.strerror}") from None


def check_name(name: str) -> None:
    """Raises Unresolved for what cannot be the name of a secret."""
    if len(name) > NAME_LENGTH or not NAME.fullmatch(name):
        raise Unresolved(f"{name[:NAME_LENGTH]!r} is no name of a secret: {NAME_FORM}")


def store(settings: SecretSettings, environ: Mapping[str, str]) -> Store:
    """The one that the settings name."""

    def passphrase() -> str:
        if settings.secrets_passphrase or not settings.secrets_passphrase_file:
            return settings.secrets_passphrase
        try:
            text = Path(settings.secrets_passphrase_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise Unresolved(
                f"the passphrase's file {settings.secrets_passphrase_file} cannot be read: {why}"
            ) from None
        if not text:
            raise Unresolved(f"the passphrase's file {settings.secrets_passphrase_file} is empty")
        return text

    return Store(Path(store_path(settings, environ)), passphrase)


def _content(read: Any) -> _Content:
    """Raises one of several errors for what another program wrote, or half of it."""
    if read["format"] != FORMAT:
        raise ValueError("another format")
    secrets = {
        str(name): {"set": str(one["set"]), "value": str(one["value"])}
        for name, one in read["secrets"].items()
    }
    return _Content(
        {str(name): str(value) for name, value in read["key"].items()}, str(read["check"]), secrets
    )
