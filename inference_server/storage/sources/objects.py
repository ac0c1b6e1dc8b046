"""An object, or all objects below a prefix, in a store that obstore speaks with: Azure Blob, S3, GCS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inference_server.storage.opening import CONNECT_SECONDS, Opening
from inference_server.storage.source import Buffer, Changed, Cut, Entry, SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.object_errors import Forbidden, Place, not_there, object_error

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PIECE = 1024 * 1024
_WHOLE_REQUEST = "24h"  # the limit is on silence, not on the length of a slow download


def connection(opening: Opening, plain_http: bool) -> dict[str, Any]:
    """How obstore connects: our time limits, and no attempts of its own beside those of the download."""
    client: dict[str, Any] = {
        "allow_http": plain_http,
        "connect_timeout": f"{CONNECT_SECONDS:g}s",
        "timeout": _WHOLE_REQUEST,
    }
    if opening.stall_seconds:
        client["read_timeout"] = f"{max(1, round(opening.stall_seconds * 1000))}ms"
    if bundle := opening.get("SSL_CERT_FILE"):
        try:
            with open(bundle, "rb") as file:
                client["root_certificate"] = file.read()
        except OSError as error:
            raise SourceError(f"SSL_CERT_FILE={bundle} cannot be read: {error.strerror}") from None
    return {"client_options": client, "retry_config": {"max_retries": 0}}


class ObjectSource:
    """One object, or what lies below a prefix; which of the two is seen at the store."""

    ranged = True

    def __init__(self, store: ObjectStore, path: str, place: Place, version: str = "") -> None:
        """`path`: of the object or prefix in its bucket; with "/" at its end, or empty, it is a folder."""
        self._store = store
        self._path = path.strip("/")
        self._place = place
        self._version = version
        self.spoken = place.spoken
        self.name = addresses.last(path)
        self.is_folder: bool | None = True if path.endswith("/") or not self._path else None

    def entries(self) -> Sequence[Entry]:
        """The object, or the objects below the prefix."""
        import obstore

        alone: Entry | None = None
        why = not_there(self._place)
        if self.is_folder is not True:
            try:
                alone = self._head()
            except FileNotFoundError:
                pass
            except Exception as error:
                why = self._error(error)
                if isinstance(why, Cut):
                    raise why from None
        if alone is not None and alone.size:
            self.is_folder = False
            return [alone]
        # Nothing, or an empty object, which may be the mark of a folder. An answer to HEAD does not say what is wrong.
        try:
            found = self._below(
                [meta for page in obstore.list(self._store, self._path or None) for meta in page]
            )
        except Exception as error:
            listing = self._error(error)
            if (
                alone is None
            ):  # a right to read one object need not include the right to list, nor the reverse
                raise (
                    why if isinstance(why, Forbidden) != isinstance(listing, Forbidden) else listing
                ) from None
            found = []
        if not found and alone is None:
            raise why
        self.is_folder = bool(found)
        return found or [alone] if alone else found

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        import obstore

        path = f"{self._path}/{entry.path}".strip("/") if self.is_folder else self._path
        if entry.size == 0 or start == stop:
            return
        place = replace(self._place, spoken=self._spoken(entry))
        options: dict[str, Any] = {"range": {"offset": start} if stop is None else (start, stop)}
        if entry.etag:
            options["if_match"] = f'"{entry.etag}"'
        if self._version:
            options["version"] = self._version
        try:
            answer = obstore.get(self._store, path, options=options)  # type: ignore[arg-type]
            if entry.etag and _bare(answer.meta["e_tag"]) != entry.etag:
                raise Changed(f"{place.spoken} was changed while it was read")
            yield from answer.stream(min_chunk_size=PIECE)
        except FileNotFoundError:
            raise Changed(f"{place.spoken} was removed while it was read") from None
        except Exception as error:
            raise object_error(error, place) from None

    def close(self) -> None:
        """Connections go with the store."""

    def _head(self) -> Entry:
        import obstore

        options: dict[str, Any] = {"head": True}
        if self._version:
            options["version"] = self._version
        meta = obstore.get(self._store, self._path, options=options).meta  # type: ignore[arg-type]
        return Entry(self.name, meta["size"], _bare(meta["e_tag"]))

    def _below(self, listed: Sequence[Any]) -> list[Entry]:
        """What was listed, without the empty objects that stand for folders."""
        prefix = f"{self._path}/" if self._path else ""
        paths = {meta["path"] for meta in listed}
        folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
        entries = [
            Entry(meta["path"][len(prefix) :], meta["size"], _bare(meta["e_tag"]))
            for meta in listed
            if meta["path"].startswith(prefix) and not (meta["size"] == 0 and meta["path"] in folders)
        ]
        return sorted((entry for entry in entries if entry.path), key=lambda entry: entry.path)

    def _spoken(self, entry: Entry) -> str:
        return f"{self.spoken.rstrip('/')}/{entry.path}" if self.is_folder else self.spoken

    def _error(self, error: Exception) -> SourceError:
        return object_error(error, self._place)


def _bare(etag: str | None) -> str:
    """An ETag without what some answers put around it."""
    return (etag or "").removeprefix("W/").strip('"')
