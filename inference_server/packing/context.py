"""The folder that an engine builds from: the same recipe gives the same files, names, times and rights."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from inference_server.environments.definition import Definition
from inference_server.packing.dockerfile import MARK, WHEELS, dockerfile
from inference_server.packing.ignore import IgnoreFile, is_never_needed, is_secret, is_secret_folder
from inference_server.packing.recipe import MODELS, PackingError, Recipe

DOCKERFILE = "Dockerfile"
_TIME = 1577836800  # of every file, seconds: 2020-01-01


@dataclass
class Context:
    """What the folder will hold, by paths with slashes."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # what each points to, from its own folder
    secrets: list[str] = field(default_factory=list)  # files that stay out, for people
    skipped: list[str] = field(default_factory=list)  # what is no file

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.stat().st_size for file in self.files.values())

    def notes(self) -> list[str]:
        """What stays out that somebody may miss."""
        notes = []
        if self.secrets:
            notes.append(f"not copied, since secrets do not belong into an image: {_listed(self.secrets)}")
        if self.skipped:
            notes.append(f"not copied, since they are no files: {_listed(self.skipped)}")
        return notes

    def write(self, folder: Path) -> None:
        """Make the folder, which must not be there. Raises PackingError; then nothing is left of it."""
        free = shutil.disk_usage(folder.parent).free
        if self.size > free:
            raise PackingError(
                f"{folder.parent} has {_megabytes(free)} left, the files take {_megabytes(self.size)}: "
                "make room, or name another folder with --output"
            )
        try:
            folder.mkdir()
            self._fill(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise PackingError(f"{error.filename or folder}: {error.strerror or error}") from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _fill(self, folder: Path) -> None:
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
            _settle(folder / name, executable=False)
        for name, source in sorted(self.files.items()):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            _settle(target, executable=bool(source.stat().st_mode & stat.S_IXUSR))
        for name, points_to in sorted(self.links.items()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(points_to, folder / name)
        for where, _, _ in os.walk(folder, topdown=False):
            os.chmod(where, 0o755)
            os.utime(where, (_TIME, _TIME))


def context_of(recipe: Recipe, output: Path | None = None) -> Context:
    """What goes into the folder for a recipe; `output`, when it lies among the code, stays out. Raises PackingError."""
    context = Context()
    code = _code_name(recipe.code)
    packages = _add_packages(context, recipe.definition) if recipe.definition else ()
    model = recipe.model.path.resolve() if recipe.model else None
    if recipe.model and model:
        _add_model(context, recipe.model.path, f"{recipe.model_folder}/{model.name}")
    for name, path in _walk(recipe.code, context, IgnoreFile.of(recipe.code), output):
        if model and _inside(path, model):
            # it is in the image already; the script may look for it beside itself, too
            link = name + "/.." * len(path.resolve().relative_to(model).parts)
            link = os.path.normpath(link).replace(os.sep, "/")
            up = "../" * (link.count("/") + 1)
            context.links[f"{code}/{link}"] = f"{up}{recipe.model_folder}/{model.name}"
        else:
            context.files[f"{code}/{name}"] = path
    if f"{code}/{recipe.script}" not in context.files:
        raise PackingError(f"{recipe.code / recipe.script} is left out by the folder's ignore file")
    context.texts[DOCKERFILE] = dockerfile(recipe, code, packages)
    return context


def is_ours(folder: Path) -> bool:
    """Whether a folder was written by an earlier build."""
    try:
        with (folder / DOCKERFILE).open(encoding="utf-8") as file:
            return file.readline().startswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _walk(root: Path, context: Context, rules: IgnoreFile, output: Path | None) -> Iterator[tuple[str, Path]]:
    """The files below a folder that belong into the image, by their paths from it, sorted; links are followed."""
    pending, seen = [("", root)], {root.resolve()}
    while pending:
        prefix, folder = pending.pop()
        for entry in sorted(folder.iterdir()):
            name = f"{prefix}{entry.name}"
            if is_never_needed(entry.name):
                continue
            ignored = rules.ignores(name)
            if ignored and not (rules.keep_some and entry.is_dir()):
                continue
            if entry.is_dir():
                where = entry.resolve()
                if is_secret_folder(entry.name):
                    context.secrets.append(f"{name}/")
                elif not (
                    where in seen or (where / "pyvenv.cfg").exists() or where == output or is_ours(where)
                ):
                    seen.add(where)
                    pending.append((f"{name}/", entry))
            elif not entry.is_file():
                context.skipped.append(name)
            elif _secret(entry):
                context.secrets.append(name)
            else:
                yield name, entry


def _secret(file: Path) -> bool:
    try:
        return is_secret(file)
    except OSError as error:
        raise PackingError(f"{file} cannot be read: {error.strerror}") from None


def _add_model(context: Context, path: Path, target: str) -> None:
    if path.is_file():
        context.files[target] = path
        return
    for name, file in _walk(path, context, IgnoreFile(), None):
        context.files[f"{target}/{name}"] = file


def _add_packages(context: Context, definition: Definition) -> tuple[str, ...]:
    """The files for pip; wheels of this machine come along. Raises PackingError."""
    wheels = {}
    for path in definition.local:
        file = Path(path)
        if file.suffix != ".whl":
            raise PackingError(
                f"{definition.source}: {path} is a folder or archive of this machine: make a wheel of it "
                "(pip wheel --no-deps) and name that"
            )
        wheels[path] = f"{WHEELS}/{file.name}"
        context.files[wheels[path]] = file
    lines = [_option(definition, *option) for option in definition.options]
    for line in definition.requirements:
        for path, name in wheels.items():
            line = line.replace(f"file://{path}", path).replace(path, f"./{name}")
        lines.append(line)
    if not lines:
        return ()
    context.texts["requirements.txt"] = "".join(f"{line}\n" for line in lines)
    if definition.constraints:
        context.texts["constraints.txt"] = "".join(f"{line}\n" for line in definition.constraints)
    names = [name for name in ("requirements.txt", "constraints.txt") if name in context.texts]
    return (*names, *([WHEELS] if wheels else []))


def _option(definition: Definition, name: str, value: str) -> str:
    if urlsplit(value).password or ("@" in value and "://" in value):
        raise PackingError(
            f"{definition.source}: {name} holds a user's name or password, which would lie in the image for everybody"
        )
    if name == "--find-links" and "://" not in value:
        raise PackingError(
            f"{definition.source}: {name} {value} is a folder of this machine: name its wheels instead"
        )
    return f"{name} {value}".strip()


def _code_name(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.")
    return name if name and name not in (MODELS, WHEELS) else "code"


def _inside(path: Path, folder: Path) -> bool:
    where = path.resolve()
    return where == folder or folder in where.parents


def _settle(file: Path, executable: bool) -> None:
    os.chmod(file, 0o755 if executable else 0o644)
    os.utime(file, (_TIME, _TIME))


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
