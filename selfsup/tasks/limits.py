"""How long a sequence may be, and what becomes of a text that is longer."""

from dataclasses import dataclass
from typing import Any, Literal

LongText = Literal["truncate", "window"]

# As in BERT's own experiments on SQuAD.
DEFAULT_MAX_ANSWER_LENGTH = 30
_SHORTEST = 8  # as for --max-length


@dataclass(frozen=True)
class Limits:
    """What bounds a model's sequences; it is saved with the model.

    Attributes:
        max_length: most tokens of a sequence, ``[CLS]`` and ``[SEP]`` included.
        doc_stride: tokens that a window shares with the next one.
        long_text: of tasks that allow either: "truncate" a longer text, or divide it into windows.
        max_answer_length: of question answering: most tokens of an answer.
    """

    max_length: int
    doc_stride: int
    long_text: LongText = "truncate"
    max_answer_length: int = DEFAULT_MAX_ANSWER_LENGTH


def default_doc_stride(max_length: int) -> int:
    """A third, as are the 128 of 384 tokens that are usual for questions on long texts."""
    return max_length // 3


def limits_to_config(limits: Limits) -> dict[str, Any]:
    """Entries of ``config.json``; ``transformers`` keeps what it does not know."""
    return {
        "selfsup_max_length": limits.max_length,
        "selfsup_doc_stride": limits.doc_stride,
        "selfsup_long_text": limits.long_text,
        "selfsup_max_answer_length": limits.max_answer_length,
    }


def limits_of_config(raw: dict[str, Any], most_positions: int) -> Limits:
    """The limits of a model folder; of one that says none that can be, all its positions."""
    length = raw.get("selfsup_max_length")
    if not isinstance(length, int) or not _SHORTEST <= length <= most_positions:
        length = most_positions
    stride = raw.get("selfsup_doc_stride")
    stride = stride if isinstance(stride, int) and stride >= 0 else default_doc_stride(length)
    answer = raw.get("selfsup_max_answer_length")
    return Limits(
        length,
        stride,
        "window" if raw.get("selfsup_long_text") == "window" else "truncate",
        answer if isinstance(answer, int) and answer >= 1 else DEFAULT_MAX_ANSWER_LENGTH,
    )
