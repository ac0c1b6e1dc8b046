"""The load of a measurement: callers that each send a new request once they have their answer, and none of which may fail."""

from __future__ import annotations

from inference_server.load import generator
from inference_server.load.generator import Closed
from inference_server.load.requests import InTurn
from inference_server.load.tally import Tally
from inference_server.load.target import Target

PATIENCE = (
    300.0  # seconds until a request is given up, and the server with it: many may wait for a slow script
)


class LoadFailed(Exception):
    """The server broke a connection or fell silent; the text says which."""


class BadAnswer(Exception):
    """An answer other than 200: the status, and the beginning of its body."""

    def __init__(self, status: int, text: str, place: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.text = text
        self.place = place  # which of the requests it answered


class Load:
    """A closed loop on a server of this machine. Close it, or use it in a `with`."""

    def __init__(self, where: Target, source: InTurn, callers: int) -> None:
        self._load = generator.Load(where, source, Closed(callers), PATIENCE)
        self._load.connect()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._load.close()

    def run(self, seconds: float, answers: int = 0, longest: float = 0.0) -> Tally:
        """As the generator runs it. Raises BadAnswer for an answer that is no 2xx, LoadFailed when there is none."""
        heard = self._load.run(seconds, answers, longest, strict=True)
        for failure in heard.failures.values():
            if failure.status:
                raise BadAnswer(failure.status, failure.text, failure.place or 0)
            raise LoadFailed(f"{failure.kind}: {failure.text}")
        return heard
