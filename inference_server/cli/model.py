"""Register models with versions and labels, which deployments then name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from inference_server.cli import assets
from inference_server.cli.azure_command import Command, VerbParser, WrongUse
from inference_server.platform.asset_files import ModelFile, read_asset
from inference_server.platform.registering import register_model
from inference_server.platform.registry import MODEL, Asset

_ABOUT = """\
A registry of models on this machine, with the verbs and flags of az ml model. create keeps the file or folder as it is now,
under a version that never changes; deployments name it as azureml:NAME:VERSION or azureml:NAME@latest."""
_EXAMPLES = [
    ("azmlinfsrv model create -n iris -p ./model", "the next version"),
    ("azmlinfsrv model create -f model.yml --set version=3", "from a YAML file"),
    (
        "azmlinfsrv model create -n iris -p s3://models/iris -l production",
        "from a store; the label moves to it",
    ),
    ("azmlinfsrv model show -n iris -l latest --query path -o tsv", "where its files lie"),
    ("azmlinfsrv model list -o table", ""),
]
_FIELDS = {"name": "name", "version": "version", "path": "path", "type": "type", "description": "description"}


def command() -> Command:
    """The command line."""
    made = Command("model", _ABOUT, _EXAMPLES)
    create = made.verb("create", "Register a file or folder as a version of a model.", _create)
    group = assets.add_create_flags(create, "the model")
    group.add_argument(
        "-p", "--path", metavar="FILE or URL", help="A file, a folder, or an address of any source."
    )
    group.add_argument(
        "-t",
        "--type",
        metavar="TYPE",
        help="custom_model, mlflow_model or triton_model. Default: custom_model.",
    )
    group.add_argument("-s", "--stage", metavar="TEXT", help="How far it has come.")
    assets.add_verbs(made, MODEL, _shown)
    return made


def parser() -> VerbParser:
    """The command line's parser."""
    return command().parser


def main(words: Sequence[str]) -> int:
    """Run one verb; returns the exit code."""
    return command().run(words)


def _create(options: Namespace) -> assets.Shown:
    if not options.file and not (options.name and options.path):
        raise WrongUse("give -n NAME and -p PATH, or -f FILE")
    given = assets.given_fields(options, {**_FIELDS, "stage": "stage"}, ("path",))
    asked, notes = read_asset(ModelFile, options.file, options.set or (), given)
    assets.say_notes(notes)
    with assets.opened() as store, assets.taking() as taking:
        return _shown(register_model(store, asked, assets.where(options), taking))


def _shown(asset: Asset) -> assets.Shown:
    """One version, as `show` prints it. `path` lies on this machine; `source` is where it came from."""
    return {
        **assets.facts(asset),
        "type": asset.facts["type"],
        "flavors": asset.facts["flavors"],
        "path": str(asset.folder / asset.facts["entry"]),
        "source": asset.facts["source"],
    }
