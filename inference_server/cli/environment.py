"""Register environments with versions and labels, which deployments then name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from inference_server.cli import assets
from inference_server.cli.azure_command import Command, VerbParser, WrongUse
from inference_server.platform.asset_files import EnvironmentFile, read_asset
from inference_server.platform.registering import register_environment
from inference_server.platform.registry import ENVIRONMENT, Asset

_ABOUT = """\
A registry of environments on this machine, with the verbs and flags of az ml environment. create records an image, a conda
file or a build context as it is now; nothing is installed before a deployment asks for it. To make the environment of a
script by hand: azmlinfsrv env."""
_EXAMPLES = [
    ("azmlinfsrv environment create -n iris -c conda.yml", "the next version"),
    ("azmlinfsrv environment create -f env.yml", "from a YAML file"),
    ("azmlinfsrv environment show -n iris -v 1 -o yaml", ""),
    ("azmlinfsrv environment archive -n iris -v 1", ""),
]
_FIELDS = {
    "name": "name",
    "version": "version",
    "image": "image",
    "conda_file": "conda_file",
    "build.path": "build_context",
    "build.dockerfile_path": "dockerfile_path",
    "os_type": "os_type",
    "description": "description",
}


def command() -> Command:
    """The command line."""
    made = Command("environment", _ABOUT, _EXAMPLES)
    create = made.verb("create", "Register a version of an environment.", _create)
    group = assets.add_create_flags(create, "the environment")
    group.add_argument("-i", "--image", metavar="IMAGE", help="An image; a conda file may go on top of it.")
    group.add_argument("-c", "--conda-file", metavar="FILE", help="The packages that the script needs.")
    group.add_argument("-b", "--build-context", metavar="FOLDER", help="A folder with a Dockerfile.")
    group.add_argument("-d", "--dockerfile-path", metavar="FILE", help="The Dockerfile, from that folder.")
    group.add_argument("--os-type", metavar="OS", help="linux or windows. Default: linux.")
    assets.add_verbs(made, ENVIRONMENT, _shown)
    return made


def parser() -> VerbParser:
    """The command line's parser."""
    return command().parser


def main(words: Sequence[str]) -> int:
    """Run one verb; returns the exit code."""
    return command().run(words)


def _create(options: Namespace) -> assets.Shown:
    if not options.file and not options.name:
        raise WrongUse("give -n NAME and what it is made of, or -f FILE")
    given = assets.given_fields(options, _FIELDS, ("conda_file", "build.path"))
    asked, notes = read_asset(EnvironmentFile, options.file, options.set or (), given)
    assets.say_notes(notes)
    with assets.opened() as store, assets.taking() as taking:
        return _shown(register_environment(store, asked, assets.where(options), taking))


def _shown(asset: Asset) -> assets.Shown:
    """One version, as `show` prints it."""
    facts = asset.facts
    shown = {**assets.facts(asset), "os_type": facts["os_type"]}
    if facts["image"]:
        shown["image"] = facts["image"]
    for name in ("conda_file", "inference_config"):
        if name in facts:
            shown[name] = facts[name]
    if "dockerfile_path" in facts:
        shown["build"] = {"path": str(asset.folder), "dockerfile_path": facts["dockerfile_path"]}
    return shown
