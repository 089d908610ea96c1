"""Tensors that hold something for each token of many texts, and may be larger than the memory."""

import math
import os
import tempfile

import torch
from torch import Tensor

from selfsup.errors import UserError

# Above so many bytes a tensor lies in a file, from which the system reads what is in use.
_MOST_IN_MEMORY = 1 << 30


def empty_result(shape: tuple[int, ...], most_in_memory: int = _MOST_IN_MEMORY) -> Tensor:
    """A float32 tensor to be filled; a large one lies in a temporary file.

    The file has no name and goes with the tensor.

    Raises:
        UserError: the disk of temporary files is too small for it.
    """
    count = math.prod(shape)
    if 4 * count <= most_in_memory:
        return torch.empty(shape)
    with tempfile.NamedTemporaryFile(prefix="selfsup-results-") as file:
        try:
            # What is not reserved now would end the process when it is written to.
            reserve = getattr(os, "posix_fallocate", None)
            reserve(file.fileno(), 0, 4 * count) if reserve else file.truncate(4 * count)
        except OSError as error:
            raise UserError(
                f"{tempfile.gettempdir()}: {4 * count / 1e9:.1f} GB of intermediate results do not "
                f"fit there ({error.strerror}): make room, or name another folder with TMPDIR"
            ) from None
        return torch.from_file(file.name, shared=True, size=count).view(shape)
