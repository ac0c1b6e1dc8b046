"""From a definition file to its environment: found in the cache, or built there once, whoever asks."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inference_server.environments import failure, installers
from inference_server.environments.cache import LOG, PREFIX, Cache, Made, packages_in
from inference_server.environments.definition import Definition, read
from inference_server.environments.errors import BadDefinition, EnvironmentFailed, Stopped
from inference_server.environments.indexes import without_credentials
from inference_server.environments.installers import Command, Installer, Site
from inference_server.environments.interpreters import choose, find
from inference_server.environments.key import key_of
from inference_server.environments.locks import Lock
from inference_server.environments.python_versions import Minor, Wanted
from inference_server.environments.requirements import canonical
from inference_server.environments.running import run, stop_at

Say = Callable[[str], None]  # gets one short line of progress


def _nothing(_: str) -> None:
    pass


@dataclass(frozen=True)
class Asked:
    """What is asked for: a definition file, where to keep environments, and how to make them."""

    source: str
    cache: Cache
    environ: Mapping[str, str]
    given: str = ""  # the interpreter to make it of; "": what the definition says, else the running one
    compile: bool = False  # see Site
    say: Say = _nothing
    stopped: Callable[[], bool] = field(default=lambda: False)  # asked now and then while it is built


@dataclass(frozen=True)
class Plan:
    """A definition that was read, its key, and who would install it."""

    definition: Definition
    minor: Minor
    key: str
    conda: str  # the program for it; "" where it is not needed


def plan(asked: Asked) -> Plan:
    """What would be made, without making it. Raises EnvironmentFailed."""
    conda = installers.conda_program(asked.environ)
    definition = read(asked.source, asked.environ, with_conda=bool(conda))
    try:
        wanted = Wanted(definition.python)
    except ValueError as error:
        raise BadDefinition(definition.source, 0, str(error)) from None
    minor = choose(wanted, asked.environ, asked.given)
    if not definition.conda_packages and not (conda and definition.kind == "conda file"):
        conda = ""
    return Plan(definition, minor, key_of(definition, minor, asked.environ), conda)


def ensure(asked: Asked) -> Made:
    """The environment, built now if nobody has yet; another process that builds it is waited for.

    Raises EnvironmentFailed: then nothing of it is left but the installer's log, which the error names.
    """
    wanted = plan(asked)
    found = asked.cache.find(wanted.key)
    if found is not None:
        return found
    check = stop_at(asked.stopped)
    with asked.cache.lock(wanted.key) as lock:
        _wait(lock, asked, check)
        found = asked.cache.find(wanted.key)  # whoever held the lock may have built it
        if found is not None:
            return found
        try:
            return _build(asked, wanted, lock, check)
        except OSError as error:
            asked.cache.discard(wanted.key)
            raise EnvironmentFailed(_system_says(error, asked)) from error
        except BaseException:
            asked.cache.discard(wanted.key)
            raise


def _wait(lock: Lock, asked: Asked, check: Callable[[], None]) -> None:
    if lock.take():
        return
    asked.say(f"waiting for process {lock.holder or '?'}, which builds it")
    lock.wait(check)


def _build(asked: Asked, wanted: Plan, lock: Lock, check: Callable[[], None]) -> Made:
    """Make it in its place. The caller holds the lock, and discards what is there when this raises."""
    began = time.monotonic()
    definition = wanted.definition
    for note in definition.notes:
        asked.say(note)
    installer = _installer(asked, wanted)
    folder = asked.cache.begin(wanted.key)
    prefix = str(folder / PREFIX)
    site = Site(folder, prefix, definition, wanted.minor, asked.environ, asked.given, asked.compile)
    commands = installer.commands(site)
    for command in commands:
        asked.say(f"{command.doing} ({installer.name})")
        _do(command, installer, site, asked, lock, check)
    for path in folder.glob("*asked.*"):  # may hold passwords
        path.unlink()
    (folder / installers.UV_SETTINGS).unlink(missing_ok=True)
    shutil.rmtree(folder / installers.TEMPORARY, ignore_errors=True)
    made = Made(
        key=wanted.key,
        prefix=prefix,
        source=definition.source,
        kind=definition.kind,
        python=f"{wanted.minor[0]}.{wanted.minor[1]}",
        installer=installer.name,
        created=time.time(),
        seconds=round(time.monotonic() - began, 3),
        notes=tuple(map(without_credentials, definition.notes)),
    )
    asked.cache.publish(made)
    asked.say(f"made {wanted.key} with {packages_in(prefix)} packages in {made.seconds:.1f} s")
    return made


def _installer(asked: Asked, wanted: Plan) -> Installer:
    """A conda program for conda's packages, or for a Python that only it can get; else uv or pip."""
    if not wanted.conda:
        return installers.of_python(asked.environ)
    if wanted.definition.conda_packages:
        return installers.Conda(wanted.conda)
    try:
        find(wanted.minor, asked.environ, asked.given)
    except EnvironmentFailed:
        return installers.Conda(wanted.conda)
    return installers.of_python(asked.environ)


def _do(
    command: Command, installer: Installer, site: Site, asked: Asked, lock: Lock, check: Callable[[], None]
) -> None:
    """Run one command. Raises EnvironmentFailed with what decided it."""
    path = site.folder / LOG
    with open(path, "a", encoding="utf-8", errors="replace") as log:
        code, lines = run(
            command.words,
            site.folder,
            installers.environment(asked.environ, site.folder),
            log,
            asked.say,
            check,
            lock.descriptor,
            command.brief,
        )
    if code == 0:
        return
    kept = asked.cache.discard(site.folder.name, keep_log=True)
    lines = [without_credentials(line) for line in lines]
    why = _why(site.definition, lines) or f"{installer.name} ended with {_ended(code)}"
    where = f"; {kept} has all that {installer.name} said" if kept else ""
    raise EnvironmentFailed(
        f"the environment of {site.definition.source} cannot be made: {why}{where}",
        "\n".join(failure.decisive(lines)),
    )


def _why(definition: Definition, lines: list[str]) -> str:
    missing = canonical(failure.missing_package(lines))
    if missing and missing in definition.translated:
        return (
            f"conda's package {missing} has no equal on the Python index, and no conda, mamba or micromamba is installed "
            "here: install micromamba, or name what stands for it in the file's pip section"
        )
    return failure.reason(lines)


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _system_says(error: OSError, asked: Asked) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the environment of {asked.source} cannot be made: the disk with {asked.cache.folder} is full"
    what = f"{error.filename}: " if error.filename else ""
    return f"the environment of {asked.source} cannot be made: {what}{error.strerror or error}"


__all__ = ["Asked", "Plan", "Stopped", "ensure", "plan"]
