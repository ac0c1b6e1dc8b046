"""The corpus: scripts as they are found in the wild, a third of them unsafe to merge in different ways.

Each file is a score.py that also says what is known of it:
    SAFE            whether its rows may be merged
    WHY             for unsafe ones: what couples the rows
    bodies(rng)     request bodies, made anew from a random.Random
    WAY             "rows" (also where absent), "run_batch" or "single"
    MERGES          False where no two of its requests can share a call
"""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).with_name("corpus")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))

_copies = itertools.count()


def module(name: str) -> ModuleType:
    """A fresh copy of a script of the corpus; its init() was not called."""
    # inference_schema knows functions by the name of their module, and wants each decorated once
    spec = importlib.util.spec_from_file_location(f"corpus_{name}_{next(_copies)}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def bodies(name: str, seed: int = 1) -> list[bytes]:
    made: list[bytes] = module(name).bodies(random.Random(seed))
    return made


def is_safe(name: str) -> bool:
    return bool(module(name).SAFE)
