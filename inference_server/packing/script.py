"""A recipe from a scoring script alone, with what lies beside it."""

from __future__ import annotations

from pathlib import Path

from inference_server.packing.deployment import model_at, read_definition
from inference_server.packing.recipe import PackingError, Recipe, base_for, tag_from

_BESIDE = ("requirements.txt", "conda.yml", "conda.yaml", "pyproject.toml")


def recipe(script: Path, model: str = "", requirements: str = "", base: str = "", tag: str = "") -> Recipe:
    """What the image is made of: the script's folder, its packages, a model. Raises PackingError, EnvironmentFailed.

    `requirements`: a file; "" takes requirements.txt, a conda file or pyproject.toml beside the script, if there is one.
    """
    folder = script.parent
    notes = []
    if not requirements:
        beside = [name for name in _BESIDE if (folder / name).is_file()]
        requirements = str(folder / beside[0]) if beside else ""
        if not beside:
            notes.append(
                f"no packages are installed: there is none of {', '.join(_BESIDE)} beside {script.name}"
            )
    definition = read_definition(requirements) if requirements else None
    if model and not Path(model).exists():
        raise PackingError(f"--model {model}: there is no such file or folder")
    kept = model_at(Path(model)) if model else None
    return Recipe(
        source=script.name,
        tag=tag or tag_from(folder.resolve().name),
        base=base or base_for(definition),
        code=folder,
        script=script.name,
        model=kept,
        model_folder=kept.folder if kept else "",
        definition=definition,
        notes=(*notes, *(definition.notes if definition else ())),
    )
