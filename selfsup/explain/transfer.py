"""What transfer keeps of a pre-trained model and what it replaces, counted in parameters."""

from torch import nn

from selfsup.corpus.tokenizer.fast_wordpiece import vocabulary_size
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import bert_config
from selfsup.explain.course import Course
from selfsup.explain.guesses import TextModel
from selfsup.pretraining.text.model import TextPretrainingModel
from selfsup.settings.objectives import TEXT_OBJECTIVES
from selfsup.tasks.models import ScoreLayer

_ENCODER, _CLASSES = "bert-mini", 2


def count_parameters(course: Course) -> tuple[str, int, list[tuple[str, int, str]]]:
    """The encoder's name and layers; for each part its key, its size, and its fate.

    Args:
        course: its model of text is counted, or else a new bert-mini with its vocabulary.
    """
    if isinstance(course.model, TextModel):
        name, model = str(course.settings.model), course.model.model
    else:
        name, config = _ENCODER, bert_config(_ENCODER, vocabulary_size(course.tokenizer))
        model = TextPretrainingModel(BertEncoder(config), TEXT_OBJECTIVES)
    encoder = model.encoder
    parts = [
        ("embeddings", _size(encoder.embeddings), "kept"),
        ("layers", _size(encoder.layers), "kept"),
        ("pooler", _size(encoder.pooler), "kept"),
    ]
    shared = encoder.embeddings.word.weight.numel()  # the scores' matrix is the embedding itself
    for objective, head in model.heads.items():
        size = _size(head) - (shared if objective == "mlm" else 0)
        parts.append((objective, size, "dropped"))
    parts.append(("new", _size(ScoreLayer(encoder.config.hidden_size, _CLASSES)), "new"))
    return name, len(encoder.layers), parts


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
