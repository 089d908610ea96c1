"""Re-initialising the highest layers, which pre-training has fitted closest to its own objective.

Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", §5.
"""

from torch import nn

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.initialization import initialize


def reinitialize_top(encoder: BertEncoder, layers: int, seed: int) -> None:
    """Draw the highest layers, and the pooler if there is one, as before pre-training.

    Args:
        encoder: changed in place.
        layers: how many, at most all.
        seed: what the draw is a function of.
    """
    top = [*encoder.layers][len(encoder.layers) - layers :]
    if isinstance(pooler := getattr(encoder, "pooler", None), nn.Module):
        top.append(pooler)
    initialize(nn.ModuleList(top), encoder.config.initializer_range, seed)
