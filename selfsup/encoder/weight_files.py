"""The files in which a model folder keeps its weights: one, or several with an index.

Pickles (``pytorch_model.bin``) are refused, with the command that makes safetensors of them.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from selfsup.encoder.tensor_file import read_tensors
from selfsup.errors import UserError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_weight_files(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder, under the names that they have there.

    Raises:
        UserError: a file is missing or damaged, or there are only pickles.
    """
    if (folder / WEIGHTS).exists():
        return read_tensors(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return _read_shards(folder / INDEX)
    pickles = sorted(folder.glob("pytorch_model*.bin"))
    if pickles:
        raise UserError(
            f"{pickles[0]}: pickles can run code and are not read. If you trust it, convert it: "
            f"{_conversion_command(pickles, folder / WEIGHTS)}"
        )
    raise UserError(f"{folder / WEIGHTS}: no such file: this folder holds no weights")


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        places = json.loads(index.read_bytes())["weight_map"]
        names = {str(name) for name in places.values()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            f"{index}: cannot be read as an index ({error!r}): copy or make it again"
        ) from None
    tensors: dict[str, Tensor] = {}
    for name in sorted(names):
        if Path(name).name != name:
            raise UserError(f"{index}: names {name!r}, which is no file of this folder")
        tensors |= read_tensors(index.parent / name)
    lost = sorted(places.keys() - tensors.keys())
    if lost:
        raise UserError(f"{index}: {lost[0]} is not in {places[lost[0]]}: copy the folder again")
    return tensors


def _conversion_command(pickles: Sequence[Path], path: Path) -> str:
    """A shell command that needs nothing but what is installed with us."""
    code = (
        "import sys, torch, safetensors.torch as s; "
        "weights = {k: v for p in sys.argv[2:] for k, v in torch.load(p, weights_only=True).items()"
        "}; s.save_file({k: v.contiguous().clone() for k, v in weights.items()}, sys.argv[1], "
        "{'format': 'pt'})"
    )
    return shlex.join([sys.executable, "-c", code, str(path), *map(str, pickles)])
