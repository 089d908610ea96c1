"""Where the model is that a user means: a model folder, or the run that made it."""

from pathlib import Path

from selfsup.errors import UserError

MODEL_IN_RUN = "model"


def resolve_model_folder(path: str | Path) -> Path:
    """The model folder at ``path``, or in the run folder at ``path``.

    Raises:
        UserError: there is neither.
    """
    path = Path(path)
    if (path / "config.json").is_file():
        return path
    if (path / MODEL_IN_RUN / "config.json").is_file():
        return path / MODEL_IN_RUN
    if (path / "run.yaml").is_file():
        raise UserError(f"{path}: this run has not come to its end, and holds no model yet")
    if path.is_dir():
        raise UserError(f"{path}: no model folder (no config.json) and no run that has one")
    raise UserError(f"{path}: no such folder: give a model folder or a run folder")
