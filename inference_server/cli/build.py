"""Make a container image of a deployment, or write its Dockerfile."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.errors import InferenceServerError
from inference_server.packing import script
from inference_server.packing.context import Context, context_of, is_ours
from inference_server.packing.deployment import DeploymentFile
from inference_server.packing.engines import NAMES, BuildFailed, Engine, find
from inference_server.packing.recipe import PackingError, Recipe

REFUSED, FAILED, NOT_BUILT = 1, 1, 3
_DEFAULT = "deployment.yml"

_ABOUT = """\
Packs what deployment.yml names (the code, the model, the packages) into an image on the server's own, with the first
container engine that is there: docker, podman or buildah. Without one, or with --output, the Dockerfile and all that it
needs are written instead. Files that hold secrets stay out; what .dockerignore names does, too."""
_EXAMPLES = [
    ("azmlinfsrv build", "what ./deployment.yml describes"),
    ("azmlinfsrv build blue.yml --tag iris:7", "another file, another name"),
    ("azmlinfsrv build score.py --model model.joblib", "a script, with the requirements.txt beside it"),
    ("azmlinfsrv build --output image", "only write the Dockerfile and its context"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("build", _ABOUT, _EXAMPLES)
    made.add_argument(
        "file",
        nargs="?",
        default=_DEFAULT,
        metavar="FILE",
        help="deployment.yml, or a script. Default: deployment.yml.",
    )
    made.add_argument(
        "--model", default="", metavar="FILE", help="With a script: the model, a file or a folder."
    )
    made.add_argument(
        "--requirements",
        default="",
        metavar="FILE",
        help="requirements.txt, conda file or pyproject.toml instead of the one that FILE names.",
    )
    made.add_argument(
        "-t", "--tag", default="", help="The image's name. Default: endpoint-deployment:latest."
    )
    made.add_argument(
        "--base", default="", help="The image to build on. Default: the server's own for that Python."
    )
    made.add_argument(
        "--engine", default="", choices=NAMES, help="What builds. Default: the first that is there."
    )
    made.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FOLDER",
        help="Write the Dockerfile and its context here; build nothing.",
    )
    made.add_argument(
        "--verbose", action="store_true", help="After a failure, show all that the engine said."
    )
    return made


class _Ended(KeyboardInterrupt):
    """Somebody asked us to end."""


def main(words: Sequence[str]) -> int:
    """Build, or write; returns the exit code.

    0: built, or written as --output wanted · 1: it cannot be packed, or the engine failed · 2: wrong use · 3: written
    but not built, since there is no engine · 130: interrupted, nothing is left.
    """
    made = parser()
    try:
        options = made.read(words)
    except SystemExit as end:
        return int(end.code or 0)
    if options.model and not options.file.endswith(".py"):
        return fail(made.prog, "--model goes with a script; deployment.yml names its model itself")
    if options.engine and options.output:
        return fail(made.prog, "--output only writes: leave out --engine")
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return _Build(options).run()
    except BuildFailed as error:
        shown = error.everything if options.verbose else error.lines
        Terminal().say("\n".join(f"    {line}" for line in shown))
        return fail(made.prog, error, FAILED)
    except InferenceServerError as error:
        return fail(made.prog, error, REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(*_: object) -> None:
    raise _Ended


class _Build:
    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.terminal = Terminal()

    def run(self) -> int:
        """Read, then build or write. Raises InferenceServerError where there is nothing to pack."""
        recipe = self._recipe()
        output = Path(self.options.output).resolve() if self.options.output else None
        if output:
            _refuse_foreign(output)
        context = context_of(recipe, output)
        self._say_recipe(recipe, context)
        if output:
            self._write(recipe, context, output)
            return 0
        engine, reasons = find(self.options.engine)
        if engine is None:
            self.terminal.say(f"No container engine works here: {'; '.join(reasons)}.")
            output = Path(recipe.tag.partition(":")[0].replace("/", "-") + "-image").resolve()
            _refuse_foreign(output)
            self._write(recipe, context, output)
            return NOT_BUILT
        return self._build(engine, recipe, context)

    def _recipe(self) -> Recipe:
        options = self.options
        file = Path(options.file)
        if not file.is_file():
            what = f"there is no {file}"
            hint = (
                "azmlinfsrv init writes one, or name a script"
                if options.file == _DEFAULT
                else "name another file"
            )
            raise PackingError(f"{what}: {hint}")
        if file.suffix == ".py":
            return script.recipe(file, options.model, options.requirements, options.base, options.tag)
        if file.suffix not in (".yml", ".yaml"):
            raise PackingError(f"{file}: expects deployment.yml or a script (.py)")
        return DeploymentFile(file).recipe(options.base, options.tag, options.requirements)

    def _say_recipe(self, recipe: Recipe, context: Context) -> None:
        paint, say = self.terminal.paint, self.terminal.say
        say(f"{paint(recipe.source, 'bold')} on {paint(recipe.base, 'cyan')}")
        say(f"  code      {_shown(recipe.code)}, {recipe.script}")
        if recipe.model:
            say(
                f"  model     {_shown(recipe.model.path)} as {recipe.model.name}, version {recipe.model.version}"
            )
        if recipe.definition:
            say(f"  packages  {', '.join(recipe.definition.requirements) or 'none'}")
        say(f"  files     {len(context.files)}, {context.size / 1e6:.1f} MB")
        for note in (*recipe.notes, *context.notes()):
            say(f"{paint('note', 'yellow')} {paint(note)}")

    def _write(self, recipe: Recipe, context: Context, output: Path) -> None:
        """Write beside the place first: an earlier result is replaced by a whole one, or stays."""
        partial = output.with_name(f".{output.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        if not output.parent.is_dir():
            raise PackingError(f"there is no folder {output.parent}")
        context.write(partial)
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
        self.terminal.say(f"wrote {self.terminal.paint(_shown(output), 'cyan')}")
        self.terminal.say(f"next  docker build -t {shlex.quote(recipe.tag)} {shlex.quote(_shown(output))}")

    def _build(self, engine: Engine, recipe: Recipe, context: Context) -> int:
        paint, say = self.terminal.paint, self.terminal.say
        say(f"building {paint(recipe.tag, 'bold')} with {engine.name}")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="azmlinfsrv-build-") as folder:
            where = Path(folder, "context")
            context.write(where)
            engine.build(
                where, recipe.tag, lambda line: say(paint(f"  {line[: self.terminal.width]}", "dim"))
            )
        say(f"built {paint(recipe.tag, 'green', 'bold')} in {time.monotonic() - began:.1f} s")
        say(f"next  {shlex.join(engine.run_command(recipe.tag, recipe.left_out))}")
        return 0


def _refuse_foreign(output: Path) -> None:
    """Only a folder that is new, empty, or an earlier result is written to."""
    if output.exists() and not (output.is_dir() and (is_ours(output) or not any(output.iterdir()))):
        raise PackingError(
            f"{output} is there and not from an earlier build: name another folder with --output"
        )


def _shown(path: Path) -> str:
    """A path from here, where it lies below."""
    here = os.path.relpath(path.resolve())
    return str(path) if here.startswith(os.pardir) else here
