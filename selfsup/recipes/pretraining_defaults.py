"""What suits an encoder, where the user of ``selfsup pretrain`` says nothing."""

import dataclasses
from dataclasses import dataclass

from selfsup.encoder.config import BERT_SIZES, bert_config
from selfsup.encoder.config_file import read_config
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.errors import UserError
from selfsup.recipes.data_kinds import USUAL_ENCODER
from selfsup.settings import PretrainSettings
from selfsup.settings.pretrain import DEFAULT_BUDGET, TEXT_OBJECTIVES, filled_in


@dataclass(frozen=True)
class SizeDefaults:
    """What suits an encoder of a size, where the user says nothing.

    The small ones are meant for minutes to hours on a laptop; bert-mini's were measured
    (docs/log.md), the others' go by it. The large ones are as in BERT's paper (appendix A.2).
    """

    batch_size: int
    learning_rate: float
    dropout: float
    start: str
    optimizer: str = "adamw"


_SIZE_DEFAULTS = {
    "bert-tiny": SizeDefaults(16, 2e-3, 0.0, "structured"),
    "bert-mini": SizeDefaults(32, 1e-3, 0.0, "structured", "muon"),
    "bert-small": SizeDefaults(16, 7e-4, 0.0, "structured"),
    "bert-medium": SizeDefaults(32, 5e-4, 0.0, "structured"),
    "bert-base": SizeDefaults(256, 1e-4, 0.1, "random"),
    "bert-large": SizeDefaults(256, 1e-4, 0.1, "random"),
}


def with_defaults(settings: PretrainSettings) -> PretrainSettings:
    """Replace what was left open by what suits the encoder.

    Raises:
        UserError: flags that do not go together, or an unknown encoder.
    """
    encoder = settings.encoder or USUAL_ENCODER["text"]
    if settings.init is None:
        bert_config(encoder, 1)  # raises where there is none, and names those there are
        size = _SIZE_DEFAULTS[encoder]
    else:
        size = _size_to_go_on_from(settings)
        if settings.start == "structured":
            raise UserError("--start structured is for new weights: leave it out with --init")
    if settings.short_length is None and settings.short_share != PretrainSettings.short_share:
        raise UserError(
            f"--short-share {settings.short_share}: goes with --short-length: give both"
        )
    if settings.short_length is not None and settings.short_length >= settings.max_length:
        raise UserError(
            f"--short-length {settings.short_length} must be below --max-length "
            f"{settings.max_length}"
        )
    return filled_in(
        settings,
        encoder=None if settings.init is not None else encoder,
        objectives=TEXT_OBJECTIVES,
        budget=DEFAULT_BUDGET if settings.steps is None else None,
        batch_size=size.batch_size,
        learning_rate=size.learning_rate,
        dropout=size.dropout,
        start=size.start,
        optimizer=size.optimizer,
    )


def _size_to_go_on_from(settings: PretrainSettings) -> SizeDefaults:
    """What suits the size nearest in width to the model of --init, at half the learning rate.

    By AdamW, as BERTs are usually trained: Muon was measured from the start of training only.

    Raises:
        UserError: there is no such model, or it has no positions for --max-length.
    """
    assert settings.init is not None
    config, _ = read_config(resolve_model_folder(settings.init))
    if settings.max_length > config.max_position_embeddings:
        raise UserError(
            f"--max-length {settings.max_length}: {settings.init} has positions for "
            f"{config.max_position_embeddings} tokens at most"
        )
    widths = {name: width for name, (_, width) in BERT_SIZES.items()}
    nearest = min(widths, key=lambda name: abs(widths[name] - config.hidden_size))
    size = _SIZE_DEFAULTS[nearest]
    rate = size.learning_rate / 2
    return dataclasses.replace(size, start="random", optimizer="adamw", learning_rate=rate)
