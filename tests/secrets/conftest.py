"""No test but the keyring's own touches the keyring of who runs the tests."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def without_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one, for this process and those that it starts."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
