"""The model of image classification: the image token → a score for every class (ViT, §3.1).

Shapes: B images in a batch, D width, C labels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.huggingface.names import NameTable, vit_names
from selfsup.encoder.vit import VitEncoder
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import FeatureBatch
from selfsup.tasks.classification.model import ScoreLayer
from selfsup.tasks.image_classification.encoding import LabelledImageBatch
from selfsup.tasks.labels import Labels

# Features that hardly vary are not blown up to vary like the others.
_LEAST_STD = 1e-6


class StandardisedLinear(nn.Module):
    """A linear layer over features that are counted from a mean in standard deviations.

    These are 0 and 1, so that nothing is changed, until they are set.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = ScoreLayer(width, outputs)
        self.register_buffer("mean", torch.zeros(width), persistent=False)
        self.register_buffer("std", torch.ones(width), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D] → [B, C]."""
        return self.linear(self.dropout((features - self.mean) / self.std))

    def standardise_by(self, features: Tensor) -> None:
        """Take the mean and the standard deviation of features, float32 [N, D]."""
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=_LEAST_STD))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [C, D] and bias [C] of a linear layer alone that gives the same."""
        weight = self.linear.weight / self.std
        return weight, self.linear.bias - weight @ self.mean


class ImageClassifier(nn.Module):
    """An encoder and a linear layer over its image token.

    Over a frozen encoder the layer learns from features that are standardised over the training
    images, as in the linear probing of MAE (He et al. 2021, §A.1: a batch norm without parameters).
    """

    def __init__(self, encoder: VitEncoder, labels: Labels, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = StandardisedLinear(encoder.config.hidden_size, len(labels), dropout)

    def forward(self, batch: LabelledImageBatch) -> Losses:
        """Mean cross-entropy, right predictions, number of images."""
        return classification_loss(self.scores(batch), batch.labels)

    def scores(self, batch: LabelledImageBatch) -> Tensor:
        """A score (logit) for each label, [B, C]."""
        return self.classifier(self.features(batch))

    def features(self, batch: LabelledImageBatch) -> Tensor:
        """What the encoder makes of each image: the last state of its image token, [B, D]."""
        return self.encoder.first_states(batch.patches(), self.encoder.all_positions())

    def on_features(self, features: Tensor) -> "ImageClassifierOnFeatures":
        """What stands over the features, sharing this model's parameters.

        Args:
            features: those of the training images, float32 [N, D], to standardise all by.
        """
        self.classifier.standardise_by(features)
        return ImageClassifierOnFeatures(self.classifier)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters; the head's for features as the encoder gives them."""
        weight, bias = self.classifier.folded()
        head = {"classifier.linear.weight": weight, "classifier.linear.bias": bias}
        for name, parameter in self.named_parameters():
            yield name, head.get(name, parameter)


class ImageClassifierOnFeatures(nn.Module):
    """The linear layer alone, over features computed beforehand."""

    def __init__(self, classifier: StandardisedLinear) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: FeatureBatch) -> Losses:
        """As ``ImageClassifier.forward``."""
        return classification_loss(self.scores(batch), batch.batch.labels)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """As ``ImageClassifier.scores``."""
        return self.classifier(batch.features)


def classification_loss(scores: Tensor, labels: Tensor) -> Losses:
    """The cross-entropy of scores [B, C] and labels, int64 [B]."""
    scores = scores.float()
    right = (scores.detach().argmax(-1) == labels).sum()
    return {"classification": (F.cross_entropy(scores, labels), right, len(labels))}


def parameter_names() -> NameTable:
    """What Hugging Face calls an ``ImageClassifier``'s parameters."""
    return {**vit_names("encoder."), "classifier.linear": ("classifier",)}
