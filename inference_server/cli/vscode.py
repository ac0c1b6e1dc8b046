"""Write what VS Code needs to debug a script: launch.json, tasks.json, devcontainer.json."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from inference_server.cli.command import Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.editor.jsonc import NotJson
from inference_server.editor.merge import merged
from inference_server.editor.vscode import FILES, IMAGE, File, Project
from inference_server.errors import InferenceServerError, SettingsError
from inference_server.settings import Settings, load

REFUSED = 1
DEFAULT_SCRIPT = "score.py"
_REQUESTS = ("sample-request.json", "request.json")

_ABOUT = """\
Writes .vscode/launch.json (launch, attach, attach in a container), .vscode/tasks.json (serve, debug, test) and
.devcontainer/devcontainer.json. Files that exist are merged: what they have stays, with its comments and layout; only
what they lack is added. Run it again at any time."""
_EXAMPLES = [
    ("azmlinfsrv vscode", "for score.py in this folder"),
    ("azmlinfsrv vscode --entry_script src/score.py --model_dir model", "for a script elsewhere"),
    ("azmlinfsrv vscode --force --port 8080", "replace what an earlier run has written"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("vscode", _ABOUT, _EXAMPLES)
    made.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER", help="The project. Default: this folder."
    )
    made.add_argument(
        "--image",
        default=IMAGE,
        help=f"Image of the container. Default: {IMAGE}, which make images IMAGES=devcontainer builds.",
    )
    made.add_argument(
        "--force", action="store_true", help="Replace configurations and tasks of ours that were changed."
    )
    made.add_settings(
        "script.entry_script", "script.model_dir", "listen.port", "develop.debug_listen", "workers.python"
    )
    return made


def main(words: Sequence[str]) -> int:
    """Write the files; returns the exit code. 0: done · 1: a file cannot be merged · 2: wrong use."""
    made = parser()
    try:
        options = made.read(words)
        settings = load(made.settings(options))
    except SystemExit as end:
        return int(end.code or 0)
    except SettingsError as error:
        return fail(made.prog, error)
    folder = Path(options.folder)
    if not folder.is_dir():
        return fail(made.prog, f"{folder} is no folder: give the project's")
    project = _project(settings, options, folder)
    try:
        texts = [(file, *_merged(file, folder, project, options.force)) for file in FILES.values()]
    except InferenceServerError as error:
        return fail(made.prog, error, REFUSED)
    terminal = Terminal()
    for file, text, did in texts:
        if did != "unchanged":
            path = folder / file.path
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode("utf-8"))
            except OSError as error:
                return fail(made.prog, f"{path} cannot be written: {error.strerror}", REFUSED)
        terminal.say(f"{did:9} {terminal.paint(str(folder / file.path), 'cyan')}")
    if not options.force and any(_differs(file, text, project) for file, text, _ in texts):
        terminal.say(
            "What was there stays, also where it differs from what you ask for: --force replaces ours."
        )
    terminal.say(
        f"\nIn VS Code: open {folder.resolve()}, press F5 and choose «azmlinfsrv: launch»; "
        "«azmlinfsrv: attach» for a server started with --debug."
    )
    if not (folder / project.script).is_file():
        terminal.say(
            f"{terminal.paint('to do', 'yellow')} there is no {project.script} yet: azmlinfsrv init writes one"
        )
    return 0


def _project(settings: Settings, options: Namespace, folder: Path) -> Project:
    requests = (name for name in _REQUESTS if (folder / name).is_file())
    python = settings.workers.python if "workers.python" in settings.given else ""
    return Project(
        script=_below(settings.script.path or str(folder / DEFAULT_SCRIPT), folder),
        model_dir=_below(settings.script.model_dir, folder) if settings.script.model_dir else "",
        request=next(requests, ""),
        requirements="requirements.txt" if (folder / "requirements.txt").is_file() else "",
        port=settings.listen.port,
        debug_port=settings.develop.debug_listen,
        image=options.image,
        python=python,
    )


def _below(path: str, folder: Path) -> str:
    """`path` from the project's folder where that is possible, with slashes."""
    try:
        relative = os.path.relpath(os.path.realpath(path), folder.resolve())
    except ValueError:  # another drive
        return path
    return relative.replace(os.sep, "/")


def _differs(file: File, text: str, project: Project) -> bool:
    """Whether a configuration or task of ours is another in `text` than this project's."""
    return merged(text, file.content(project), file.identities, True) != text


def _merged(file: File, folder: Path, project: Project, force: bool) -> tuple[str, str]:
    """(the file's new text, what was done to it). Raises InferenceServerError for a file that cannot be merged."""
    path = folder / file.path
    before = path.read_bytes().decode("utf-8-sig", "surrogateescape") if path.is_file() else ""
    try:
        after = merged(before, file.content(project), file.identities, force)
    except NotJson as error:
        raise InferenceServerError(
            f"{path} is not JSON with comments ({error}): mend it or move it away"
        ) from error
    except TypeError as error:
        raise InferenceServerError(f"{path} holds something else than {path.name} does ({error})") from error
    return after, "wrote" if not before else "unchanged" if after == before else "merged"
