"""What `azmlinfsrv model` and `azmlinfsrv environment` have in common: flags, the verbs but `create`, what is shown."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentTypeError, Namespace, _ArgumentGroup
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from typing import Any

from inference_server.cli.azure_command import Command, VerbParser, WrongUse, pairs
from inference_server.cli.fetch_view import FetchView
from inference_server.cli.terminal import Terminal
from inference_server.definitions.kinds import is_address
from inference_server.definitions.tree import Steps
from inference_server.platform.home import home_of
from inference_server.platform.registering import Where
from inference_server.platform.registry import Asset, Key, Registry
from inference_server.platform.snapshots import Taking
from inference_server.platform.store import Store
from inference_server.settings import load
from inference_server.settings.read import whole

LOCAL = "local"  # stands in ids for the resource group and the workspace that nobody named
Shown = dict[str, Any]
ShowOne = Callable[[Asset], Shown]


def add_verbs(command: Command, kind: str, show_one: ShowOne) -> None:
    """list, show, archive and restore."""
    listing = command.verb("list", f"List {kind}s, or the versions of one.", partial(_list, kind, show_one))
    listing.add_argument(
        "-n", "--name", metavar="NAME", help="List the versions of this one, the newest first."
    )
    listing.add_argument("-r", "--max-results", type=_number, metavar="N", help="Not more than so many.")
    group = listing.add_mutually_exclusive_group()
    group.add_argument("--include-archived", action="store_true", help="Also what is archived.")
    group.add_argument("--archived-only", action="store_true", help="Only what is archived.")
    _add_registry(listing)
    showing = command.verb("show", f"Show one version of {_a(kind)}.", partial(_show, kind, show_one))
    _add_choice(showing)
    for name, about, archived in (
        ("archive", f"Hide {_a(kind)} from lists and from the label latest.", True),
        ("restore", "Show again what was archived.", False),
    ):
        hiding = command.verb(
            name, f"{about} Without a version: all of them.", partial(_archive, kind, archived)
        )
        _add_choice(hiding)


def add_create_flags(parser: VerbParser, what: str) -> _ArgumentGroup:
    """The flags of `create` that both kinds have."""
    group = parser.add_argument_group(what)
    group.add_argument("-f", "--file", metavar="FILE", help="YAML file with the fields; flags win over it.")
    group.add_argument("-n", "--name", metavar="NAME", help="Its name.")
    group.add_argument(
        "-v", "--version", metavar="VERSION", help="Its version. Default: one more than the last."
    )
    group.add_argument("-l", "--label", metavar="LABEL", help="A label that moves to this version.")
    group.add_argument("--description", metavar="TEXT", help="Your own words.")
    group.add_argument("--tags", nargs="+", action="extend", metavar="NAME=VALUE", help="Your own labels.")
    group.add_argument(
        "--set",
        nargs="+",
        action="extend",
        metavar="FIELD=VALUE",
        help="Change a field of the file, such as tags.team=search.",
    )
    _add_registry(parser)
    parser.add_argument("--datastore", metavar="NAME", help=SUPPRESS)  # files are kept on this machine
    return group


def given_fields(options: Namespace, fields: Mapping[str, str], paths: tuple[str, ...]) -> dict[Steps, Any]:
    """What flags say, by field. `fields`: the flags by the names of their fields; `paths`: fields that name a file from the
    current folder."""
    found: dict[Steps, Any] = {}
    for field, flag in fields.items():
        value = getattr(options, flag)
        if value is not None:
            local = field in paths and not is_address(value)
            found[tuple(field.split("."))] = os.path.abspath(os.path.expanduser(value)) if local else value
    for name, value in pairs(options.tags, "--tags").items():
        found[("tags", name)] = value
    return found


def where(options: Namespace) -> Where:
    """What is recorded beside the asset itself."""
    recorded = {"resource_group": options.resource_group, "workspace": options.workspace_name}
    kept = {name: value for name, value in recorded.items() if value}
    return Where(options.registry_name or "", options.label or "", kept)


@contextmanager
def opened() -> Iterator[Store]:
    """The state of this machine."""
    with Store(home_of(load())) as store:
        yield store


@contextmanager
def taking() -> Iterator[Taking]:
    """How files are taken in: how far it is, is shown on standard error."""
    with FetchView(sys.stderr) as view:
        yield Taking(load(), view.progress)


def say_notes(notes: list[str]) -> None:
    """What a person should know, on standard error."""
    terminal = Terminal(sys.stderr)
    for note in notes:
        terminal.say(terminal.paint(note, "yellow"))


def facts(asset: Asset) -> Shown:
    """The fields that `show` has for both kinds, as Azure names them; ours follow them."""
    recorded = asset.facts["recorded"]
    group, workspace = recorded.get("resource_group", LOCAL), recorded.get("workspace", LOCAL)
    base = (
        f"azureml://registries/{asset.key.registry}"
        if asset.key.registry
        else f"/subscriptions/{LOCAL}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
    )
    made = datetime.fromtimestamp(asset.created, timezone.utc).isoformat()
    found: Shown = {
        "id": f"{base}/{asset.key.kind}s/{asset.key.name}/versions/{asset.version}",
        "name": asset.key.name,
        "version": asset.version,
        "creation_context": {"created_at": made, "created_by": asset.created_by, "created_by_type": "User"},
        "tags": asset.notes.get("tags", {}),
        "properties": asset.notes.get("properties", {}),
        "resourceGroup": group,
        "labels": list(asset.labels),
        "archived": asset.archived,
    }
    return found | {name: asset.notes[name] for name in ("description", "stage") if name in asset.notes}


def _add_registry(parser: VerbParser) -> None:
    parser.add_argument("--registry-name", metavar="NAME", help="Of that registry, not of the workspace.")


def _add_choice(parser: VerbParser) -> None:
    parser.add_argument("-n", "--name", required=True, metavar="NAME", help="Its name.")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-v", "--version", metavar="VERSION", help="The version.")
    group.add_argument("-l", "--label", metavar="LABEL", help="The version with this label, such as latest.")
    _add_registry(parser)


def _number(text: str) -> int:
    try:
        return whole(1)(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _key(kind: str, options: Namespace) -> Key:
    return Key(kind, options.name, options.registry_name or "")


def _list(kind: str, show_one: ShowOne, options: Namespace) -> list[Shown]:
    with opened() as store:
        registry = Registry(store)
        if options.name:
            found = [
                show_one(asset) for asset in registry.versions(_key(kind, options)) if _wanted(asset, options)
            ]
        else:
            names = registry.names(kind, options.registry_name or "")
            found = [shown for key in names if (shown := _in_short(registry.versions(key), options))]
    return found[: options.max_results]


def _wanted(asset: Asset, options: Namespace) -> bool:
    return bool(options.include_archived or asset.archived == options.archived_only)


def _in_short(versions: list[Asset], options: Namespace) -> Shown:
    """One asset in a list of names: its newest version that is to be seen; {}: there is none."""
    seen = [asset for asset in versions if _wanted(asset, options)]
    if not seen:
        return {}
    newest = facts(seen[0])
    short = {name: newest[name] for name in ("name", "tags", "properties", "resourceGroup", "archived")}
    if "description" in newest:
        short["description"] = newest["description"]
    return {**short, "latest_version": seen[0].version, "versions": len(seen)}


def _show(kind: str, show_one: ShowOne, options: Namespace) -> Shown:
    if not (options.version or options.label):
        raise WrongUse("give -v VERSION or -l LABEL, such as -l latest")
    with opened() as store:
        return show_one(Registry(store).find(_key(kind, options), options.version or "", options.label or ""))


def _archive(kind: str, archived: bool, options: Namespace) -> None:
    with opened() as store:
        Registry(store).archive(_key(kind, options), archived, options.version or "", options.label or "")


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
