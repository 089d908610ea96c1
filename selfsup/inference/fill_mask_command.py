"""``selfsup fill-mask``: what a pre-trained model would put in the place of ``[MASK]``."""

from typing import Any

from selfsup.inference import fill_mask as deployed
from selfsup.settings import FillMaskSettings
from selfsup.training.compute import choose_compute


def fill_mask(settings: FillMaskSettings) -> dict[str, Any]:
    """Returns ``text`` and, for each mask, an entry of ``masks``: see ``deploy.fill_mask``."""
    # In float32 unless told otherwise: close candidates of one sentence are to be told apart.
    precision = "float32" if settings.precision == "auto" else settings.precision
    compute = choose_compute(settings.device, precision, settings.threads)
    masks = deployed.fill_mask(settings.model, settings.text, settings.top, compute)
    return {"text": settings.text, "masks": masks}
