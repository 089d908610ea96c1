"""Self-supervised pre-training and transfer learning, from raw data to a working model.

`selfsup.Predictor` predicts with a fine-tuned model from Python. It is imported on first use, as it
needs torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfsup.inference.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from selfsup.inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'selfsup' has no attribute {name!r}")
