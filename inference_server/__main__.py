"""`python -m inference_server` is the command `azmlinfsrv`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # `-m` puts the current folder first on the import path; there a user's file could stand before one of the
    # server's own libraries. The script's imports are the workers' affair.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]

    from inference_server.cli import main

    sys.exit(main())
