"""`git+file:///REPO[@REF][#FOLDER]`: what a commit of a local repository holds.

It is what `git archive` would pack: committed files, without those marked export-ignore. HEAD when no REF is given.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO
from urllib.parse import unquote

from inference_server.storage.opening import Opening
from inference_server.storage.source import Buffer, Entry, SourceError
from inference_server.storage.sources import address as addresses

SCHEMES = ("git+file",)
PIECE = 1024 * 1024
_FORM = re.compile(
    r"git\+file://(?:localhost)?(?P<repository>/[^#]*?)(?:@(?P<ref>[^@#]+))?(?:#(?P<folder>.*))?", re.I | re.S
)
_SECONDS = 600.0
_MOST_LINKS = 40
_LOOKS = "git+file:///REPOSITORY@REF#FOLDER"


class GitSource:
    """The files of a commit, or of one folder or file in it."""

    ranged = True

    def __init__(self, address: str, opening: Opening) -> None:
        match = _FORM.fullmatch(address)
        if match is None:
            raise SourceError(
                f"{addresses.printable(address)} is no local repository: {_LOOKS} is what one looks like"
            )
        self._repository = os.path.expanduser(unquote(match["repository"]))
        if not os.path.isdir(self._repository) and os.path.isdir(
            unquote(f"{match['repository']}@{match['ref']}")
        ):
            self._repository, self._ref = unquote(f"{match['repository']}@{match['ref']}"), "HEAD"
        else:
            self._ref = unquote(match["ref"] or "HEAD")
        self._folder = unquote(match["folder"] or "").removeprefix("subdirectory=").strip("/")
        self._git = opening.program("git")
        own = {name: value for name, value in opening.environ.items() if not name.startswith("GIT_")}
        self._environ = {**own, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        within = f"#{self._folder}" if self._folder else ""
        self.spoken = addresses.printable(f"git+file://{self._repository}@{self._ref}{within}")
        self.name = addresses.last(self._folder) or addresses.last(self._repository).removesuffix(".git")
        self.is_folder: bool | None = None
        self._archive: IO[bytes] | None = None
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()

    def entries(self) -> Sequence[Entry]:
        """The files, packed once into a file without a name, from which they are read."""
        if not self._git:
            raise SourceError(
                f"{self.spoken} is read with git, which is not here: install it (apt-get install git)"
            )
        if not os.path.isdir(self._repository):
            raise SourceError(f"{self.spoken}: there is no folder {self._repository}")
        commit = self._ask("rev-parse", "--verify", "--end-of-options", f"{self._ref}^{{commit}}").strip()
        self.is_folder = (
            not self._folder or self._ask("cat-file", "-t", f"{commit}:{self._folder}").strip() != "blob"
        )
        folder = self._folder if self.is_folder else self._folder.rpartition("/")[0]
        only = [] if self.is_folder else [self.name]
        self.close()
        archive = tempfile.TemporaryFile(prefix="azmlinfsrv-git-")  # noqa: SIM115  close() closes it
        with self._lock:
            self._archive = archive
        self._run(["archive", "--format=tar", f"{commit}:{folder}", "--", *only], archive)
        try:
            return self._listed(archive, commit)
        except tarfile.TarError:
            raise SourceError(f"{self.spoken}: what git archive gave cannot be read") from None

    def _listed(self, archive: IO[bytes], commit: str) -> list[Entry]:
        archive.seek(0)
        found: list[Entry] = []
        with tarfile.open(fileobj=archive, mode="r:") as packed:
            for member in packed.getmembers():
                content = self._content(packed, member)
                if content is None:
                    continue
                self._offsets[member.name] = content.offset_data
                etag = f"{commit}:{member.name}"
                found.append(Entry(member.name, content.size, etag, executable=bool(content.mode & 0o100)))
        if not found:
            raise SourceError(f"{self.spoken} holds no files")
        return found

    def _content(self, packed: tarfile.TarFile, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        """The file itself, or the one a link leads to; None: a folder. Raises SourceError for a link that leads out."""
        at: tarfile.TarInfo | None = member
        for _ in range(_MOST_LINKS):
            if at is None or not at.issym():
                break
            target = posixpath.normpath(posixpath.join(posixpath.dirname(at.name), at.linkname))
            at = next((one for one in packed.getmembers() if one.name == target), None)
        if at is not None and at.isfile():
            return at
        if member.isdir():
            return None
        raise SourceError(
            f"{self.spoken}: the link {member.name} leads to no file that is packed: leave it out"
        )

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        size = entry.size or 0
        at, end = start, size if stop is None else min(stop, size)
        while at < end:
            with self._lock:
                if self._archive is None:
                    raise SourceError(f"{self.spoken} was closed")
                self._archive.seek(self._offsets[entry.path] + at)
                piece = self._archive.read(min(PIECE, end - at))
            if not piece:
                return
            yield piece
            at += len(piece)

    def close(self) -> None:
        """The packed file goes."""
        with self._lock:
            if self._archive is not None:
                self._archive.close()
                self._archive = None

    def _ask(self, *words: str) -> str:
        with tempfile.TemporaryFile() as out:
            self._run(list(words), out)
            out.seek(0)
            return out.read(1024 * 1024).decode(errors="replace")

    def _run(self, words: Sequence[str], out: IO[bytes]) -> None:
        command = [self._git, "-C", self._repository, "--literal-pathspecs", *words]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                env=self._environ,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise SourceError(f"{self.spoken}: git {words[0]} took longer than {_SECONDS:g} s") from None
        if done.returncode:
            raise SourceError(f"{self.spoken}: {self._why(done.stderr.decode(errors='replace'), words)}")

    def _why(self, said: str, words: Sequence[str]) -> str:
        lines = [line.removeprefix("fatal: ") for line in said.splitlines() if line.strip()]
        if words[0] == "rev-parse":
            if "dubious ownership" in said:
                return (
                    f"it belongs to another user: git config --global --add safe.directory {self._repository}"
                )
            if "not a git repository" in said:
                return f"{self._repository} is no git repository"
            return f"there is no commit, branch or tag {self._ref}"
        if words[0] == "cat-file":
            return f"there is no {self._folder} in {self._ref}"
        return addresses.printable(lines[0]) if lines else f"git {words[0]} failed"
