"""Weights in safetensors files: one file, or several with an index.

Pickles (``pytorch_model.bin``) are refused, with a command that converts them to safetensors.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from selfsup.atomic_files import sync_file
from selfsup.errors import UserError
from selfsup.special_files import refuse_special
from selfsup.structured_files import read_json

# In bytes: of some 20,000 tensors. The library itself reads 100 MB, for minutes and gigabytes.
_LONGEST_HEADER = 1 << 21
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


class _Index(TypedDict):
    """The file that says which file holds each weight."""

    weight_map: dict[str, str]


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors, contiguous and on any device, and wait until they are on the disk.

    Raises:
        OSError: writing failed; with the error number, which safetensors gives only as text.
    """
    try:
        safetensors.torch.save_file(dict(tensors), path, metadata)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error)) from error
    # safetensors creates its file readable by its owner only.
    path.chmod(0o666 & ~_umask())
    sync_file(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file to the CPU.

    Raises:
        UserError: it is missing, truncated, or not a safetensors file.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:  # safetensors reports any file it cannot open as missing
            header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > _LONGEST_HEADER:
            raise OSError(f"its header has {header_bytes:,} bytes")
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except PermissionError:
        raise UserError(f"{path}: cannot be read: check who may read it") from None
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: cut short, damaged, or no safetensors file ({error}): copy or make it again"
        ) from None


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_weight_files(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder, under the names in its files.

    Raises:
        UserError: a file is missing or damaged, or there are only pickle files.
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
    file_of: dict[str, str] = read_json(index, _Index)["weight_map"]
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(file_of.values())):
        if Path(name).name != name:
            raise UserError(f"{index}: names {name!r}, which is no file of this folder")
        tensors |= read_tensors(index.parent / name)
    lost = sorted(file_of.keys() - tensors.keys())
    if lost:
        raise UserError(f"{index}: {lost[0]} is not in {file_of[lost[0]]}: copy the folder again")
    return tensors


def _conversion_command(pickles: Sequence[Path], path: Path) -> str:
    code = (
        "import sys, torch, safetensors.torch as s; "
        "weights = {k: v for p in sys.argv[2:] for k, v in torch.load(p, weights_only=True).items()"
        "}; s.save_file({k: v.contiguous().clone() for k, v in weights.items()}, sys.argv[1], "
        "{'format': 'pt'})"
    )
    return shlex.join([sys.executable, "-c", code, str(path), *map(str, pickles)])
