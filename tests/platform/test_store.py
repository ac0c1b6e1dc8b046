"""Desired and observed state: generations, the one observer, operations, ports."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from inference_server.platform import schema
from inference_server.platform.errors import AlreadyThere, NotFound, Overtaken, Refused, StateUnusable
from inference_server.platform.home import Home
from inference_server.platform.records import Name
from inference_server.platform.store import Store

SHOP, BLUE = Name("shop"), Name("shop", "blue")


def test_a_change_against_an_older_state_is_refused_and_changes_nothing(store: Store) -> None:
    made = store.create(SHOP, {"auth_mode": "key"})
    changed = store.change(SHOP, made.generation, {"auth_mode": "aml_token"})
    with pytest.raises(Overtaken, match="endpoint 'shop' was changed by somebody else meanwhile"):
        store.change(SHOP, made.generation, {"auth_mode": "key"})
    found = store.get(SHOP)
    assert (found.generation, found.desired, found.observed) == (
        changed.generation,
        {"auth_mode": "aml_token"},
        {},
    )
    assert not found.settled
    with pytest.raises(Refused, match="JSON cannot"):
        store.change(SHOP, found.generation, {"at": float("nan")})


def test_names_are_one_whatever_their_case_and_what_is_missing_is_named(store: Store) -> None:
    store.create(Name("Shop"), {})
    with pytest.raises(AlreadyThere, match="endpoint 'shop' is there already"):
        store.create(SHOP, {})
    with pytest.raises(NotFound, match="there is no endpoint 'other'"):
        store.create(Name("other", "blue"), {})
    with pytest.raises(NotFound, match="no deployment 'blue' of endpoint 'shop'"):
        store.get(BLUE)
    store.create(BLUE, {})
    assert store.get(Name("SHOP", "BLUE")).name == BLUE
    assert store.get(SHOP).name == Name("Shop")


def test_a_name_that_was_deleted_and_made_again_is_not_what_it_was(store: Store) -> None:
    first = store.create(SHOP, {})
    deletion = store.delete(SHOP, first.generation)
    with store.observer("shop") as observer:
        observer.forget(SHOP)
    assert store.operation(deletion.id).state == "Succeeded"
    again = store.create(SHOP, {})
    assert again.generation > first.generation
    with pytest.raises(Overtaken):
        store.change(SHOP, first.generation, {})


def test_only_one_process_observes_and_an_older_one_writes_no_more(store: Store, home: Home) -> None:
    made = store.create(SHOP, {})
    blue = store.create(BLUE, {})
    with Store(home) as other, store.observer("shop") as observer:
        with pytest.raises(Overtaken, match="another process serves endpoint 'Shop'"), other.observer("Shop"):
            pass
        observer.observe(BLUE, blue.generation, {"provisioning_state": "Succeeded"})
        observer.finish(BLUE, blue.generation)
        observer.finish(SHOP, made.generation, "ResourceNotReady", "score.py line 3")
        newer = store.change(BLUE, blue.generation, {"instance_count": 2})
        observer.observe(BLUE, newer.generation, {"provisioning_state": "Updating"})
        with pytest.raises(Overtaken, match="newer generation"):
            observer.observe(BLUE, blue.generation, {})
        with pytest.raises(Overtaken, match="does not serve"):
            observer.observe(Name("other"), 1, {})
    with (
        Store(home) as other,
        other.observer("shop"),
        pytest.raises(Overtaken, match="another process serves"),
    ):
        observer.observe(BLUE, newer.generation, {})
    assert store.get(BLUE).observed == {"provisioning_state": "Updating"}
    assert store.get(BLUE).settled
    assert [(one.kind, one.state) for one in store.operations(BLUE)] == [
        ("create", "Succeeded"),
        ("update", "InProgress"),
    ]
    failed = store.operation(made.id)
    assert (failed.state, failed.code, failed.message) == ("Failed", "ResourceNotReady", "score.py line 3")


def test_deleting_an_endpoint_takes_its_deployments_along(store: Store) -> None:
    made = store.create(SHOP, {})
    update = store.create(BLUE, {})
    store.delete(SHOP, made.generation)
    assert [found.deleting for found in store.deployments("shop")] == [True]
    assert store.operation(update.id).state == "Canceled"
    with pytest.raises(Overtaken, match="is being deleted"):
        store.create(Name("shop", "green"), {})
    with store.observer("shop") as observer:
        observer.forget(SHOP)
        with pytest.raises(NotFound):
            observer.forget(SHOP)
    assert store.endpoints() == []
    assert {one.state for one in store.operations(BLUE)} == {"Canceled", "Succeeded"}


def test_a_port_is_given_once_and_kept(store: Store, home: Home) -> None:
    for name in ("one", "two", "three"):
        store.create(Name(name), {})
    candidates = range(6000, 6003)
    assert store.port("one", candidates, lambda port: port != 6000) == 6001
    assert store.port("two", candidates) == 6000
    assert store.port("three", candidates) == 6002
    store.delete(Name("one"), store.get(Name("one")).generation)
    with store.observer("one") as observer:
        observer.forget(Name("one"))
    store.create(Name("four"), {})
    with Store(home) as other:
        assert other.port("two", candidates) == 6000
        assert other.port("four", candidates) == 6001  # no other was left
    store.create(Name("five"), {})
    with pytest.raises(StateUnusable, match="no port from 6000 to 6002 is left"):
        store.port("five", candidates)


def test_older_tables_become_newer_ones_and_newer_ones_are_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(home) as store:
        store.create(SHOP, {"auth_mode": "key"})
    steps = (*schema.MIGRATIONS, ("ALTER TABLE endpoints ADD COLUMN note TEXT NOT NULL DEFAULT ''",))
    with monkeypatch.context() as patch:
        patch.setattr("inference_server.platform.database.MIGRATIONS", steps)
        with Store(home) as store:
            assert store.get(SHOP).desired == {"auth_mode": "key"}
            with store.database.reading() as connection:
                assert connection.execute("SELECT note FROM endpoints").fetchone()["note"] == ""
    with pytest.raises(StateUnusable, match="made by a newer azmlinfsrv"):
        Store(home)


def test_a_file_of_something_else_is_left_alone(home: Home) -> None:
    home.folder.mkdir()
    home.state.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateUnusable, match="is damaged"):
        Store(home)
    home.state.unlink()
    connection = sqlite3.connect(home.state)
    connection.execute("CREATE TABLE songs (title)")
    connection.close()
    with pytest.raises(StateUnusable, match="is a database of something else"):
        Store(home)


def test_a_home_in_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnusable, match="cannot be written"):
        Store(Home(tmp_path / "file" / "home"))


def test_the_state_is_its_owners_alone(store: Store, home: Home) -> None:
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.state.stat().st_mode & 0o777 == 0o600
