"""`azureml://…/datastores/NAME/paths/PATH`: a path in a datastore of a workspace.

What a name stands for is read from a table, since the workspace is not asked: AZMLINFSRV_DATASTORES holds it as JSON,
or the path of a JSON file.

    {"workspaceblobstore": "https://ACCOUNT.blob.core.windows.net/CONTAINER",
     "lake":    {"account_name": "ACCOUNT", "filesystem": "FILES"},
     "archive": "s3://bucket/prefix"}

What `az ml datastore show` or `az ml datastore list` print is such a table as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from inference_server.storage.opening import Opening
from inference_server.storage.source import SourceError
from inference_server.storage.sources import address as addresses

_VARIABLE = "AZMLINFSRV_DATASTORES"
_FORM = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/Microsoft\.MachineLearningServices/)?"
    r"workspaces/[^/]+/)?datastores/(?P<name>[^/]+)/paths/(?P<path>[^?#]*)",
    re.IGNORECASE,
)
_LOOKS = "azureml://datastores/NAME/paths/PATH"


def azureml_address(address: str, opening: Opening) -> str:
    """The address in its store that a path in a datastore stands for. Raises SourceError."""
    match = _FORM.fullmatch(address)
    if match is None:
        raise SourceError(
            f"{addresses.printable(address.partition('?')[0])} is not a path in a datastore: {_LOOKS} is what one looks "
            "like; for a registered model or a job's output give the address of its files"
        )
    name = unquote(match["name"])
    table = _table(opening)
    found = next((value for key, value in table.items() if key.lower() == name.lower()), None)
    if found is None:
        known = f"it knows {', '.join(sorted(table))}" if table else "it is not set"
        raise SourceError(
            f"{addresses.printable(address)}: {_VARIABLE} says nothing of the datastore {name} ({known}): set it to "
            f'{{"{name}": "https://ACCOUNT.blob.core.windows.net/CONTAINER"}}'
        )
    base, _, query = _address_of(name, found).partition("?")
    path = match["path"].lstrip("/")
    if base.startswith(("s3:", "gs:")):
        path = unquote(path)
    return f"{base.rstrip('/')}/{path}" + (f"?{query}" if query else "")


def _address_of(name: str, value: object) -> str:
    """A datastore's own address: as it is, or put together from what describes a datastore."""
    if isinstance(value, str) and addresses.scheme(value):
        return value
    if isinstance(value, Mapping):
        container = value.get("container_name") or value.get("filesystem")
        account = value.get("account_name")
        if account and container:
            suffix = str(value.get("endpoint") or "core.windows.net").removeprefix("https://").strip("/")
            protocol = value.get("protocol") or "https"
            return f"{protocol}://{account}.blob.{suffix}/{quote(str(container))}"
    raise SourceError(
        f"{_VARIABLE}: the datastore {name} is neither an address nor has it account_name and container_name "
        "(or filesystem)"
    )


def _table(opening: Opening) -> dict[str, Any]:
    given = opening.settings.datastores or opening.get(_VARIABLE)
    if not given:
        return {}
    text, where = given, _VARIABLE
    if not given.lstrip().startswith(("{", "[")):
        where = f"{_VARIABLE}={given}"
        try:
            with open(given, encoding="utf-8-sig") as file:
                text = file.read()
        except (OSError, UnicodeError) as error:
            raise SourceError(
                f"{where} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
            ) from None
    try:
        table = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{where} is not JSON: {error}") from None
    if isinstance(table, dict) and isinstance(
        table.get("name"), str
    ):  # one, as `az ml datastore show` prints it
        table = [table]
    if isinstance(table, list):
        table = {str(one["name"]): one for one in table if isinstance(one, dict) and "name" in one}
    if not isinstance(table, dict):
        raise SourceError(f'{where} expects a JSON object, {{"NAME": "https://ACCOUNT.blob.…/CONTAINER"}}')
    return table
