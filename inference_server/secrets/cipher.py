"""Encryption of the local store: AES-256-GCM, each value with a nonce of its own and bound to its name."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from inference_server.secrets.reference import Unresolved

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
# scrypt: a tenth of a second and 32 MiB for each guess
COST, BLOCK, PARALLEL = 2**15, 8, 1
_NEEDS = "the file of secrets needs the library cryptography where the server runs: pip install 'azmlinfsrv[secrets]'"


def sealed(key: bytes, text: str, name: str) -> str:
    """A value as it stands in the file, bound to `name`. Raises Unresolved where the library is missing."""
    nonce = os.urandom(NONCE_BYTES)
    data: bytes = _aead(key).encrypt(nonce, text.encode("utf-8", "surrogateescape"), name.encode())
    return base64.b64encode(nonce + data).decode()


def opened(key: bytes, value: str, name: str, path: Path, key_place: str = "") -> str:
    """The text of a value. Raises Unresolved: it was changed, or (`key_place` is given) the key does not fit."""
    aead = _aead(key)
    from cryptography.exceptions import InvalidTag

    try:
        data = base64.b64decode(value, validate=True)
        text: bytes = aead.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError):
        if key_place:
            raise Unresolved(f"the file of secrets {path} was not encrypted with {key_place}") from None
        raise Unresolved(
            f"the value in {path} is damaged: set it again with azmlinfsrv secret set {name}"
        ) from None
    return text.decode("utf-8", "surrogateescape")


def from_passphrase(passphrase: str, salt: bytes) -> bytes:
    """The key that a passphrase stands for. Raises Unresolved where the library is missing."""
    try:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    except ImportError:
        raise Unresolved(_NEEDS) from None
    return Scrypt(salt=salt, length=KEY_BYTES, n=COST, r=BLOCK, p=PARALLEL).derive(passphrase.encode())


def _aead(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise Unresolved(_NEEDS) from None
    return AESGCM(key)
