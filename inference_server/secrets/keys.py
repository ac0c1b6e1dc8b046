"""Where the key of the local store is: behind a passphrase, in the system's keyring, or in a file beside the store.

The store itself says which, so that it is opened the same way wherever it is read. The keyring is used where the
package `keyring` is installed and has a real one to talk to.
"""

from __future__ import annotations

import base64
import os
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from inference_server.secrets import cipher
from inference_server.secrets.private_file import write_private
from inference_server.secrets.reference import Unresolved

PASSPHRASE, KEYRING, FILE = "passphrase", "keyring", "file"
SERVICE = "azmlinfsrv"
KEYRING_SECONDS = 20.0  # for who sits there to unlock it
VARIABLE = "AZMLINFSRV_SECRETS_PASSPHRASE"


Result = TypeVar("Result")


class Made(NamedTuple):
    """A key for a new store."""

    where: dict[str, str]  # what the store keeps of it
    key: bytes
    note: str  # one sentence for who made it


def make(path: Path, passphrase: str) -> Made:
    """A new key for a store at `path`. Raises Unresolved and OSError."""
    if passphrase:
        salt = os.urandom(cipher.SALT_BYTES)
        where = {"kind": PASSPHRASE, "salt": _text(salt)}
        return Made(where, cipher.from_passphrase(passphrase, salt), "It is encrypted with the passphrase.")
    key = os.urandom(cipher.KEY_BYTES)
    cipher.sealed(key, "", "")  # where that fails, no key is left behind
    user = _text(os.urandom(9))
    if _kept_in_keyring(user, key):
        return Made({"kind": KEYRING, "user": user}, key, "Its key is in the system's keyring.")
    file = key_file(path)
    if file.exists():  # of a store that was removed; a copy of it may be kept
        key = _from_file(file, path)
    else:
        write_private(file, _text(key).encode() + b"\n")
    note = (
        f"Its key is the file {file}: who can read both can read the secrets. "
        f"Set {VARIABLE} before the first secret for a passphrase in its place."
    )
    return Made({"kind": FILE}, key, note)


def find(where: dict[str, str], path: Path, passphrase: Callable[[], str]) -> bytes:
    """The key of the store at `path`. Raises Unresolved, and KeyError or ValueError for what no store of ours says."""
    kind = where["kind"]
    if kind == PASSPHRASE:
        words = passphrase()
        if not words:
            raise Unresolved(
                f"the file of secrets {path} needs its passphrase: set {VARIABLE} or {VARIABLE}_FILE"
            )
        return cipher.from_passphrase(words, base64.b64decode(where["salt"]))
    if kind == KEYRING:
        return _from_keyring(where["user"], path)
    return _from_file(key_file(path), path)


def place(where: dict[str, str], path: Path) -> str:
    """Where the key is, in words."""
    kind = where.get("kind")
    if kind == PASSPHRASE:
        return "this passphrase"
    return "the key in the system's keyring" if kind == KEYRING else f"the key in {key_file(path)}"


def key_file(path: Path) -> Path:
    """The file of the key of a store at `path`."""
    return path.with_name(path.name + ".key")


def _from_file(file: Path, path: Path) -> bytes:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise Unresolved(
            f"the key {file} of the file of secrets is missing: put it back, or remove {path} and set the secrets again"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no key"
        raise Unresolved(f"the key {file} cannot be read: {why}") from None
    if sys.platform != "win32" and mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise Unresolved(f"others on this machine can read or change the key {file}: chmod 600 {file}")
    try:
        key = base64.b64decode(text, validate=False)
    except ValueError:
        key = b""
    if len(key) != cipher.KEY_BYTES:
        raise Unresolved(
            f"{file} holds no key: put the right one back, or remove {path} and set the secrets again"
        )
    return key


def _kept_in_keyring(user: str, key: bytes) -> bool:
    """Whether the system has a keyring that took the key."""
    keyring = _keyring()
    if keyring is None:
        return False

    def keep() -> bool:
        keyring.set_password(SERVICE, user, _text(key))
        return bool(keyring.get_password(SERVICE, user) == _text(key))

    try:
        return _in_time(keep)
    except Exception:  # whatever a desktop's service does: a file does as well
        return False


def _from_keyring(user: str, path: Path) -> bytes:
    keyring = _keyring()
    if keyring is None:
        raise Unresolved(
            f"the key of {path} is in the system's keyring, and there is none here: run where it was made, as that "
            "user, with pip install keyring"
        )
    try:
        text = _in_time(lambda: keyring.get_password(SERVICE, user))
    except Exception as error:
        raise Unresolved(
            f"the system's keyring, which holds the key of {path}, failed: {type(error).__name__}"
        ) from None
    if not text:
        raise Unresolved(
            f"the key of {path} is no longer in the system's keyring: remove that file, set the secrets again"
        )
    return base64.b64decode(text)


def _keyring() -> Any:
    """The module, where there is one with a keyring behind it; None: there is none."""
    try:
        import keyring

        return keyring if keyring.get_keyring().priority >= 1 else None
    except Exception:  # not installed, or its search for a service failed
        return None


def _in_time(work: Callable[[], Result]) -> Result:
    """What `work` returns. A keyring that is locked asks on a screen, and waits for ever where there is none.

    Raises TimeoutError, and what `work` raises.
    """
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    return done.result(KEYRING_SECONDS)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
