"""Writes docs/endpoint-yaml.md and the JSON schemas from the declarations: `python -m inference_server.definitions.document`."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference_server.definitions.declare import Declared, declarations
from inference_server.definitions.deployment import DEPLOYMENT
from inference_server.definitions.endpoint import ENDPOINT
from inference_server.definitions.errors import DefinitionError
from inference_server.definitions.groups import Group, inner_groups
from inference_server.definitions.kinds import FileOrInline, Kind, ListOf, MapOf
from inference_server.definitions.load import read_deployment
from inference_server.definitions.schema import FOLDER, schemas

PATH = Path(__file__).parents[2] / "docs" / "endpoint-yaml.md"
SAMPLE = """\
name: {{NAME}}
model:
  path: model.onnx
code_configuration:
  code: .
  scoring_script: score.py
environment: my-env:1
instance_type: Standard_DS3_v2
instance_count: two
request_timeout_ms: 90000
scale_setting:
  type: target_utilization
  min_instances: 3
  max_instances: 2
"""

_HEAD = """# The files of endpoints and deployments

<!-- Written by `python -m inference_server.definitions.document` from the declarations; do not edit. -->

`endpoint.yml` and `deployment.yml` are Azure's: every field of its online endpoints is read, by its name, default and
rules. Where a field can mean nothing on one machine, you are told so and the rest is used; what cannot run here is
refused with the reason. All that is wrong with a file is said at once, each with its line:

```yaml
{sample}```

```text
{problems}
```

**Paths** start from the folder that the file lies in, and must be there. **Numbers** may be quoted, **words of a choice**
written in any case (`Key`, `AMLToken`), **true and false** as YAML has them or as a text (`'True'`). A text stays as it is
written: version 1.10 is not 1.1, and the variable `MODE: on` is `on`.

**Placeholders** that were never filled in (`{{{{NAME}}}}`, `<NAME>`) are named. Of a file with placeholders, the copy
without them may be called `deployment.yml_`, as Azure's examples have it.

**References to secrets** (`${{{{keyvault:…}}}}`, `${{{{azureml://connections/…}}}}`) are left as they are and resolved when the
script starts ([secrets](secrets.md)).

**`--set`** changes a field of the file: `--set request_settings.request_timeout_ms=90000`,
`--set identity.user_assigned_identities[0].resource_id=…`, `--set 'tags["cost.center"]=7'`,
`--set 'environment={{"image": "…"}}'`. Values are read as they would be in the file, or as JSON; `null` takes a field out.
It comes before all checks, so it also fills in placeholders. Paths start from the file's folder here, too.

**Editors** complete and check these files with the schemas that come with the package, in
`inference_server/definitions/schema/`. The first line of a file may say so:

```yaml
# yaml-language-server: $schema=…/deployment.schema.json
```
"""

_RULES = """
## Rules between fields

- Names: a letter first, then letters, digits and single dashes, 3 to 32 characters; on Kubernetes the endpoint's and the
  deployment's together 6 to 62.
- `traffic` makes 0 or 100 together. `mirror_traffic` names one deployment, at most 50 per cent
  (`properties.mirror_traffic_limit` lifts that). A deployment has live or mirrored traffic, never both. Names are compared
  in lower case.
- `code` and `scoring_script` go together. A deployment has a script, or a model that needs none (`mlflow_model`,
  `triton_model`, an `.onnx` file), or an image with `inference_config`; what is registered is known later.
- `inference_config` needs an image, and in it `scoring_route`.
- `request_timeout_ms` is at most 180000; 300000 on Kubernetes and for prompt flow.
- `min_instances` is not above `max_instances`. `success_threshold` of a managed deployment's `liveness_probe` is 1.
- Kubernetes endpoints have no `aad_token` and no mirroring, their deployments nothing from registries.
- `user_assigned` needs identities, and does not go with `enforce_access_to_default_secret_stores`.
- `aad_token` runs here once `properties` has `oidc_issuer`, and `oidc_scope` or `oidc_role`.
"""

_TABLE = """
### {title}

{text}

| field | type | default | meaning | here |
| --- | --- | --- | --- | --- |
"""


def document() -> str:
    """The whole text of docs/endpoint-yaml.md."""
    parts = [_HEAD.format(sample=SAMPLE, problems=problems())]
    for title, top in (("Endpoint", ENDPOINT), ("Deployment", DEPLOYMENT)):
        parts.append(f"\n## {title}\n")
        for part in _parts(top, ("",), ""):
            paths = ", ".join(f"`{path}`" for path in part.paths)
            text = " ".join((part.group.group.__doc__ or "").split())
            parts.append(_TABLE.format(title=paths.replace("``", "The file"), text=text))
            parts += [_row(item, part.fate) for item in declarations(part.group.group)]
    return "".join(parts) + _RULES


def problems() -> str:
    """What is said of the sample."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "deployment.yml")
        file.write_text(SAMPLE, encoding="utf-8")
        Path(folder, "score.py").touch()
        try:
            read_deployment(file)
        except DefinitionError as error:
            text = re.sub(r" \(looked for .*\)", "", str(error))
            return text.replace(f"{folder}{os.sep}", "")
    raise AssertionError("the sample has nothing wrong with it")


@dataclass(frozen=True)
class _Part:
    """A table: a group, where it stands, and what becomes of all of it, "" where each field has its own fate."""

    group: Group
    paths: tuple[str, ...]
    fate: str


def _parts(group: Group, paths: tuple[str, ...], fate: str) -> Iterator[_Part]:
    """A group and those within it; several fields of the same group have one table."""
    yield _Part(group, paths, fate)
    path = paths[0]
    within: dict[type, _Part] = {}
    for item in declarations(group.group):
        for inner in inner_groups(item.kind):
            where = f"{path}.{item.key}" if path else item.key
            where += {MapOf: ".<name>", ListOf: "[]"}.get(type(item.kind), "")
            inherited = fate or (f"as `{where}`" if item.ignored or item.refused else "")
            before = within.get(inner.group)
            if before:
                within[inner.group] = _Part(inner, (*before.paths, where), before.fate and inherited)
            else:
                within[inner.group] = _Part(inner, (where,), inherited)
    for part in within.values():
        yield from _parts(part.group, part.paths, part.fate)


def _row(item: Declared, fate: str) -> str:
    unit = f" In {item.unit}." if item.unit else ""
    cells = [_name(item), _type(item.kind), _default(item), f"{item.help}{unit}", fate or _fate(item)]
    return f"| {' | '.join(cells)} |\n"


def _name(item: Declared) -> str:
    also = "".join(f", `{alias}`" for alias in item.aliases)
    return f"`{item.key}`{also}{' (required)' if item.required else ''}"


def _type(kind: Kind) -> str:
    return kind.word if isinstance(kind, FileOrInline) else kind.shown_word


def _default(item: Declared) -> str:
    if item.required or item.default_text or not item.shown_default:
        return item.default_text
    return f"`{item.shown_default}`"


def _fate(item: Declared) -> str:
    if item.refused:
        return f"refused: {item.refused}"
    if item.ignored:
        return f"ignored, with a note: {item.ignored}"
    return f"used. {item.used}".strip() if item.used else "used"


def write(page: Path = PATH, folder: Path = FOLDER) -> None:
    """Write the page and the schemas."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(document(), encoding="utf-8")
    folder.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
