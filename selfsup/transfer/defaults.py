"""How long and how fast to learn a task where the user does not say: what held up on few labels."""

import math

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.vit_config import VitConfig

# Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §6: small sets need many steps, and
# a run that goes on until its training loss is near 0 fails less often than a short one.
_LEAST_STEPS = 600
_LEAST_EPOCHS, _MOST_EPOCHS = 3, 20


# A head alone starts from nothing and cannot spoil anything (docs/log.md). It is quickly taught:
# what the encoder makes of each example is computed once.
_RATE_OF_A_HEAD_ALONE = 2e-3


def default_epochs(examples: int, batch_size: int, *, frozen: bool) -> int:
    """Times to go through the training examples: as many as give some hundreds of steps.

    Args:
        examples, batch_size: of the training.
        frozen: whether the encoder is, as a whole.
    """
    if frozen:
        return _MOST_EPOCHS
    steps_per_epoch = max(1, math.ceil(examples / batch_size))
    wanted = math.ceil(_LEAST_STEPS / steps_per_epoch)
    return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, wanted))


def default_learning_rate(config: EncoderConfig | VitConfig, *, frozen: bool) -> float:
    """The highest rate for an encoder's width: small encoders want a larger one.

    3e-5 at BERT-base's 768, as its paper has it (appendix A.3), and inversely to the square of
    the width below that. A head over an encoder that is frozen as a whole wants a rate of its own.
    """
    if frozen:
        return _RATE_OF_A_HEAD_ALONE
    return min(5e-4, 3e-5 * (768 / config.hidden_size) ** 2)
