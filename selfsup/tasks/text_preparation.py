"""What makes texts ready for a model: its tokenizer, and how long a text may be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfsup.corpus.tokenizer_folder import load_tokenizer
from selfsup.tasks.limits import Limits


@dataclass(frozen=True)
class TextPreparation:
    """How texts become token ids; it is saved with the model.

    Attributes:
        tokenizer: from text to tokens.
        limits: how long a text may be, and what becomes of a longer one.
        folder: where the tokenizer's files lie; None if it was trained just now.
    """

    tokenizer: Tokenizer
    limits: Limits
    folder: Path | None = None

    def settings(self) -> dict[str, Any]:
        """What of it are settings of fine-tuning, by their names."""
        return {"max_length": self.limits.max_length}


def text_preparation(tokenizer_folder: Path, limits: Limits) -> TextPreparation:
    """With the tokenizer of a folder.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    return TextPreparation(load_tokenizer(tokenizer_folder), limits, tokenizer_folder)
