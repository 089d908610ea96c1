"""In which precision layers compute."""

import torch
from torch import Tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """The precision of matrix products here: autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
