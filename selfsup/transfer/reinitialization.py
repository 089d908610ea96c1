"""Re-initialising the highest layers, which pre-training has fitted closest to its own objective.

Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", §5.
"""

from typing import Any

from torch import nn

from selfsup.encoder.initialization import initialize


def reinitialize_top(encoder: Any, layers: int, seed: int) -> None:
    """Draw the highest layers, and what stands over them, as before pre-training.

    That is a BERT's pooler if there is one, and a ViT's last norm.

    Args:
        encoder: changed in place.
        layers: how many, at most all.
        seed: what the draw is a function of.
    """
    top = [*encoder.layers][len(encoder.layers) - layers :]
    over = (getattr(encoder, name, None) for name in ("pooler", "norm"))
    top += [module for module in over if isinstance(module, nn.Module)]
    initialize(nn.ModuleList(top), encoder.config.initializer_range, seed)
