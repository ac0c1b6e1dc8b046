"""The page of all settings is what the declarations say."""

from __future__ import annotations

from inference_server.cli.settings_doc import PATH, document
from inference_server.settings import DECLARED


def test_the_page_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == document(), "run: python -m inference_server.cli.settings_doc"


def test_every_setting_is_explained() -> None:
    for declared in DECLARED.values():
        assert declared.help.endswith((".", "all.")), declared.key
        assert declared.env, declared.key


def test_no_name_is_declared_twice() -> None:
    names = [name for declared in DECLARED.values() for name in declared.env]
    assert len(names) == len(set(names))
    flags = [declared.flag for declared in DECLARED.values() if declared.flag]
    assert len(flags) == len(set(flags))
