"""Sources read with libraries that only the emulators' Python has, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.storage.emulators import python_of_emulators
from tests.storage.sources.opened import NO_MACHINE
from tests.tools import ROOT

_READ = """
import hashlib, json, sys
from inference_server.storage.source import SourceError
from inference_server.storage.sources import open_source
for address in sys.argv[1:]:
    try:
        source = open_source(address)
        found = source.entries()
        files = {entry.path: b"".join(map(bytes, source.read(entry, 0, entry.size))).decode() for entry in found}
        sums = {entry.path: entry.sha256.hex() for entry in found}
        said = {"spoken": source.spoken, "name": source.name, "folder": source.is_folder, "files": files, "sums": sums}
        source.close()
    except SourceError as error:
        said = {"error": str(error), "kind": type(error).__name__}
    print("=" + json.dumps(said))
"""


@dataclass
class Elsewhere:
    """A folder with the environment of its processes."""

    folder: Path
    environ: Mapping[str, str]

    def python(self, code: str, *words: str) -> str:
        """What a program prints."""
        here = {
            **NO_MACHINE,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            **self.environ,
        }
        done = subprocess.run(
            [python_of_emulators(), "-c", code, *words],
            cwd=self.folder,
            env=here,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def fetched(self, *addresses: str) -> list[dict[str, object]]:
        """What each address gives: its files, or the error."""
        return [
            json.loads(line[1:])
            for line in self.python(_READ, *addresses).splitlines()
            if line.startswith("=")
        ]
