"""A process that changes the state without pause, for tests that kill it: python -m tests.platform.writer HOME ENDPOINT.

What it prints was answered for: it must be there afterwards, whatever happened since.
"""

from __future__ import annotations

import sys
from pathlib import Path

from inference_server.platform.errors import Overtaken
from inference_server.platform.home import Home
from inference_server.platform.records import Name
from inference_server.platform.store import Store


def main(folder: str, endpoint: str, most: int) -> None:
    """Count `desired["count"]` up, and keep an equal one in a deployment: both change, or neither."""
    with Store(Home(Path(folder))) as store:
        done = 0
        while done < most:
            both = [store.get(Name(endpoint)), store.get(Name(endpoint, "blue"))]
            try:
                with store.atomically():
                    for found in both:
                        count = found.desired["count"] + 1
                        store.change(found.name, found.generation, {"count": count, "filler": "x" * 2000})
            except Overtaken:
                continue
            done += 1
            print(count, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
