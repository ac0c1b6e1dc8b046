"""`hf://ORG/NAME[@REV][/PATH]`, `hf://datasets/ORG/NAME…`: repositories of the Hugging Face Hub, or of HF_ENDPOINT.

huggingface_hub finds the files, the commit and the token; the bytes come in parts like any other file's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, unquote

from inference_server.storage.opening import Opening, library
from inference_server.storage.source import Buffer, Cut, Entry, SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.web import WebFile

SCHEMES = ("hf",)
_FORM = re.compile(
    r"hf://(?:(?P<kind>models|datasets|spaces)/)?(?P<org>[^/@]+)/(?P<name>[^/@]+)"
    r"(?:@(?P<rev>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_LOOKS = "hf://ORG/NAME@REVISION/PATH, hf://datasets/ORG/NAME"
_ACCESS = "set HF_TOKEN to a token that may read it, or accept its terms on its page"


class HubSource:
    """The files of a repository at one commit, or those below a path in it."""

    ranged = True

    def __init__(self, address: str, opening: Opening) -> None:
        match = _FORM.fullmatch(address)
        if match is None:
            raise SourceError(
                f"{addresses.printable(address)} is no repository of the Hub: {_LOOKS} are what they look like"
            )
        self._kind = (match["kind"] or "models").lower().removesuffix("s")
        self._repository = f"{match['org']}/{match['name']}"
        self._revision = unquote(match["rev"] or "main")
        self._path = (match["path"] or "").strip("/")
        self._opening = opening
        self.spoken = addresses.printable(address.rstrip("/"))
        self.name = addresses.last(self._path) or match["name"]
        self.is_folder: bool | None = None
        self._hub: Any = library("huggingface_hub", self.spoken, "hf")
        self._endpoint = (opening.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._token = opening.get("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") or self._hub.get_token() or ""
        self._commit = ""

    def entries(self) -> Sequence[Entry]:
        """The files, of the commit that the revision is now."""
        info = self._info()
        self._commit = info.sha
        whole = {file.rfilename: file for file in info.siblings or ()}
        prefix = f"{self._path}/" if self._path else ""
        if self._path in whole:
            self.is_folder = False
            return [self._entry(whole[self._path], self.name)]
        self.is_folder = True
        below = [name for name in sorted(whole) if name.startswith(prefix)]
        if not below:
            raise SourceError(
                f"{self.spoken}: there is no {self._path or 'file'} in {self._revision} of {self._repository}"
            )
        return [self._entry(whole[name], name[len(prefix) :]) for name in below]

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`; of that commit, which does not change."""
        return self._file(entry).read(start, stop, size=entry.size)

    def close(self) -> None:
        """Nothing stays open between requests."""

    def _entry(self, file: Any, path: str) -> Entry:
        sha256 = bytes.fromhex(file.lfs.sha256) if file.lfs else b""
        return Entry(path, file.size, file.blob_id or f"{self._commit}:{path}", sha256=sha256)

    def _file(self, entry: Entry) -> WebFile:
        path = f"{self._path}/{entry.path}".strip("/") if self.is_folder else self._path
        folder = "" if self._kind == "model" else f"{self._kind}s/"
        return WebFile(
            f"{self._endpoint}/{folder}{self._repository}/resolve/{self._commit}/{quote(path)}",
            f"{self.spoken}/{entry.path}" if self.is_folder else self.spoken,
            {"Authorization": f"Bearer {self._token}"} if self._token else {},
            self._opening.stall_seconds,
            _ACCESS,
        )

    def _info(self) -> Any:
        errors: Any = library("huggingface_hub.errors", self.spoken, "hf")
        api = self._hub.HfApi(endpoint=self._endpoint, token=self._token or False)
        try:
            return api.repo_info(
                self._repository,
                repo_type=self._kind,
                revision=self._revision,
                files_metadata=True,
                timeout=self._opening.stall_seconds,
            )
        except errors.GatedRepoError:
            raise SourceError(f"{self.spoken} is open to those it was opened for: {_ACCESS}") from None
        except errors.RevisionNotFoundError:
            raise SourceError(f"{self.spoken}: {self._repository} has no revision {self._revision}") from None
        except errors.RepositoryNotFoundError:
            raise SourceError(
                f"{self.spoken}: there is no such {self._kind}, or it is private: {_ACCESS}"
            ) from None
        except errors.HFValidationError:
            raise SourceError(
                f"{self.spoken} is no repository of the Hub: {_LOOKS} are what they look like"
            ) from None
        except errors.HfHubHTTPError as error:
            raise self._http_error(error) from None
        except (
            Exception
        ) as error:  # of whatever client the library uses this year: a network that is not there
            if isinstance(error, (TypeError, AttributeError)):
                raise
            raise Cut(f"{self.spoken}: {self._endpoint} cannot be reached") from None

    def _http_error(self, error: Any) -> SourceError:
        code = getattr(getattr(error, "response", None), "status_code", 0)
        if code in (401, 403):
            return SourceError(f"{self.spoken} may not be read ({code}): {_ACCESS}")
        if code == 429 or code >= 500:
            return Cut(f"{self.spoken}: {self._endpoint} answers {code} for now")
        return SourceError(f"{self.spoken}: {self._endpoint} answers {code or 'nothing of use'}")
