"""`${{vault:PATH#FIELD}}`: HashiCorp Vault and OpenBao over their HTTP interface.

PATH is what `vault kv get` and `bao kv get` take (`secret/app`), whichever version of the KV engine is mounted there;
`?version=3` after it asks for one version. A namespace comes from VAULT_NAMESPACE.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from inference_server.secrets.reference import KINDS, Unresolved
from inference_server.secrets.resolving import Found

SECONDS = 10.0
ANSWER_BYTES = 4 * 1024 * 1024
_FORM = f"write {KINDS['vault']}, and ?version=N before the # for one version"


@dataclass(frozen=True)
class VaultAddress:
    """Where it is, and who asks. Empty: not given."""

    url: str
    token: str = field(repr=False)
    token_file: str
    namespace: str
    cacert: str


class _Status(Exception):
    """It answered with something else than 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body


class _SameServer(HTTPRedirectHandler):
    """A standby names the active node; a token is never sent over a plainer connection than it was meant for."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(req.full_url).scheme != urlsplit(newurl).scheme:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Vault:
    """Asks for one field at a time."""

    def __init__(self, address: VaultAddress) -> None:
        self._address = address

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        path, version, name = _parts(place)
        client = _Client(self._address)
        mount, is_v2 = client.mount(path)
        asked = f"{mount}data/{path[len(mount) :].removeprefix('data/')}" if is_v2 else path
        try:
            data = client.get(asked, f"?version={version}" if version and is_v2 else "")["data"]
        except _Status as error:
            raise Unresolved(client.why(error, path, version)) from None
        except (KeyError, TypeError):
            raise Unresolved("its answer holds no data") from None
        fields = data.get("data") if is_v2 else data
        if not isinstance(fields, dict):
            raise Unresolved(f"there is nothing at {path}: it has been deleted")
        if name not in fields:
            raise Unresolved(f"{path} has no field {name!r}; it has {', '.join(sorted(fields)) or 'none'}")
        value = fields[name]
        text = value if isinstance(value, str) else json.dumps(value)
        return Found(text, (text,))


class _Client:
    """The requests of one read."""

    def __init__(self, address: VaultAddress) -> None:
        if not address.url:
            raise Unresolved("VAULT_ADDR is not set: give it the address of the vault, https://…")
        if urlsplit(address.url).scheme not in ("http", "https"):
            raise Unresolved("VAULT_ADDR is no address: it begins with https:// or http://")
        self._url = address.url.rstrip("/")
        self._headers = {"X-Vault-Token": _token(address), "X-Vault-Request": "true"}
        if address.namespace:
            self._headers["X-Vault-Namespace"] = address.namespace
        try:
            context = ssl.create_default_context(cafile=address.cacert or None)
        except OSError as error:
            raise Unresolved(
                f"VAULT_CACERT {address.cacert} cannot be used: {error.strerror or error}"
            ) from None
        self._opener = build_opener(HTTPSHandler(context=context), _SameServer())

    def get(self, path: str, query: str = "") -> Any:
        """The answer to a GET. Raises _Status and Unresolved."""
        request = Request(f"{self._url}/v1/{quote(path)}{query}", headers=self._headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return _json(answer.read(ANSWER_BYTES))
        except HTTPError as error:
            with error:
                raise _Status(error.code, _json(error.read(ANSWER_BYTES))) from None
        except URLError as error:
            raise Unresolved(f"{self._url} cannot be reached: {getattr(error, 'reason', error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unresolved(f"{self._url} cannot be reached: {error or type(error).__name__}") from None
        except ValueError:  # a line break in the token, say
            raise Unresolved(
                "VAULT_ADDR, the token or the namespace holds what no request can carry"
            ) from None

    def mount(self, path: str) -> tuple[str, bool]:
        """Where the engine is mounted, with its last slash, and whether it is KV version 2. Raises Unresolved."""
        try:
            data = self.get(f"sys/internal/ui/mounts/{path}")["data"]
            return str(data["path"]), (data.get("options") or {}).get("version") == "2"
        except _Status as error:
            if error.status == 404:  # an old server
                return "", False
            raise Unresolved(self.why(error, path, "")) from None
        except (KeyError, TypeError):
            raise Unresolved(f"{self._url} does not answer as a vault does") from None

    def why(self, error: _Status, path: str, version: str) -> str:
        """What a status means, and what to do."""
        if error.status in (401, 403):
            if not self._token_holds():
                return "its token is not known there or has expired: renew it in VAULT_TOKEN or its file"
            return (
                f"its token may not read {path}: its policy must allow it, or there is nothing mounted there"
            )
        if error.status == 404:
            return f"there is no {path}{f' in version {version}' if version else ''}, or it has been deleted"
        if error.status == 503:
            return f"{self._url} is sealed or not ready"
        said = error.body.get("errors") if isinstance(error.body, dict) else None
        text = "; ".join(map(str, said)) if isinstance(said, list) else ""
        return f"{self._url} answered {error.status}{f' ({text[:200]})' if text else ''}"

    def _token_holds(self) -> bool:
        """Whether the token itself is good; every token may ask that."""
        try:
            self.get("auth/token/lookup-self")
        except (_Status, Unresolved) as error:
            return not (isinstance(error, _Status) and error.status in (401, 403))
        return True


def _parts(place: str) -> tuple[str, str, str]:
    """Path, version ("": the newest) and field. Raises Unresolved."""
    where, mark, name = place.partition("#")
    path, _, query = where.partition("?")
    path = path.strip("/")
    asked = parse_qs(query, keep_blank_values=True)
    version = "".join(asked.pop("version", []))
    if not mark or not name or not path or asked or (query and not version.isdigit()):
        raise Unresolved(_FORM)
    return path, version, name


def _token(address: VaultAddress) -> str:
    """Raises Unresolved."""
    if address.token:
        return address.token
    file = Path(address.token_file).expanduser()
    try:
        token = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise Unresolved(f"no token for the vault: set VAULT_TOKEN, or write it to {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unresolved(
            f"the file of the vault's token {file} cannot be read: {type(error).__name__}"
        ) from None
    if not token:
        raise Unresolved(f"the file of the vault's token {file} is empty")
    return token


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
