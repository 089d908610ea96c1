"""Tensors in a safetensors file: written to the disk for good, read with clear complaints."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from selfsup.errors import UserError


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors, contiguous and on any device, and wait until they are on the disk.

    Raises:
        OSError: as any writing may, with its number (safetensors itself only tells it in words).
    """
    try:
        safetensors.torch.save_file(dict(tensors), path, metadata)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error)) from error
    # safetensors makes its file for the owner's eyes alone.
    path.chmod(0o666 & ~_umask())
    sync_file(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file to the CPU.

    Raises:
        UserError: it is missing, cut short, or no safetensors file.
    """
    try:
        with path.open("rb"):  # safetensors says of any file that it cannot open it is not there
            pass
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
    """What files are made without; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
