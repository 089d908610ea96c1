"""The model of token classification: each word's first piece → a score for every tag (BERT §5.3).

Shapes: T tokens laid end to end, R words (rows), D width, C tags.
"""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import FeatureBatch
from selfsup.tasks.classification.model import ScoreLayer
from selfsup.tasks.token_classification.windows import WordBatch


class TokenClassifier(nn.Module):
    """An encoder and a linear layer over the last states of the words' first pieces."""

    def __init__(self, encoder: BertEncoder, tag_count: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(encoder.config.hidden_size, tag_count)

    def forward(self, batch: WordBatch) -> Losses:
        """Mean loss in nats, right tags, number of words."""
        return tagging_loss(self.scores(batch), batch.labels)

    def scores(self, batch: WordBatch) -> Tensor:
        """A score (logit) for each tag, [R, C]."""
        return self.classifier(self.dropout(self.features(batch)))

    def features(self, batch: WordBatch) -> Tensor:
        """The last state of each word's first piece, [R, D]."""
        hidden = self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)
        return hidden.index_select(0, batch.word_rows)

    def on_features(self, features: Tensor | None = None) -> "TokenClassifierOnFeatures":
        """What stands over the features, sharing this model's parameters."""
        return TokenClassifierOnFeatures(self)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters as they are."""
        yield from self.named_parameters()


class TokenClassifierOnFeatures(nn.Module):
    """The linear layer alone, over features computed beforehand."""

    def __init__(self, model: TokenClassifier) -> None:
        super().__init__()
        self.dropout = model.dropout
        self.classifier = model.classifier

    def forward(self, batch: FeatureBatch) -> Losses:
        """As ``TokenClassifier.forward``."""
        return tagging_loss(self.scores(batch), batch.batch.labels)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """A score for each tag, [R, C]."""
        return self.classifier(self.dropout(batch.features))


def tagging_loss(scores: Tensor, labels: Tensor) -> Losses:
    """Cross-entropy, a mean over words: scores [R, C], labels int64 [R]."""
    scores = scores.float()
    right = (scores.detach().argmax(-1) == labels).sum()
    return {"tagging": (F.cross_entropy(scores, labels), right, len(labels))}


def parameter_names() -> NameTable:
    """What Hugging Face calls a ``TokenClassifier``'s parameters."""
    return {**encoder_names("encoder."), "classifier": ("classifier",)}
