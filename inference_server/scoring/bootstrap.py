"""Started by file path as `python bootstrap.py …` in whatever environment the model lives in.

Python puts this file's folder on sys.path; it is taken off again, and our package is loaded from its place
without any folder of the server's environment becoming importable.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def load_package() -> None:
    """Make `inference_server` importable from where this file lies, whatever else carries that name."""
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(here)
    sys.path[:] = [path for path in sys.path if not path or os.path.abspath(path) != here]
    spec = importlib.util.spec_from_file_location(
        "inference_server", os.path.join(root, "__init__.py"), submodule_search_locations=[root]
    )
    if spec is None or spec.loader is None:  # cannot be: the file exists
        raise ImportError("inference_server cannot be loaded from " + root)
    package = importlib.util.module_from_spec(spec)
    sys.modules["inference_server"] = package
    spec.loader.exec_module(package)


# multiprocessing's spawn method imports this file again in a script's own child processes
if __name__ == "__main__":
    load_package()
    if sys.argv[1:2] == ["--trial"]:
        from inference_server.scoring.trial import main
    else:
        from inference_server.scoring.main import main

    sys.exit(main(sys.argv[1:]))
