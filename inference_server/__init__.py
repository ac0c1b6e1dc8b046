"""azmlinfsrv: a score.py becomes a production endpoint.

This file is imported by every worker, in whatever environment the model lives in, so it keeps to
Python 3.8 syntax and the standard library.
"""

from inference_server.scoring.batching.batched import batched

__version__ = "0.1.0"

__all__ = ["__version__", "batched"]
