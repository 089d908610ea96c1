"""Text classification: one label, several, or a number for each text or pair (BERT §4.1).

Shapes: B texts of a batch, W windows, D width, C labels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.pooling import pooled_parts, standardize
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading
from selfsup.tasks.classification import label_decision
from selfsup.tasks.classification.contrast import supervised_contrast
from selfsup.tasks.classification.data import (
    LabelledTexts,
    read_labelled_texts,
    read_text_blocks,
)
from selfsup.tasks.classification.encoding import EncodedTexts, TextBatch, encode_texts
from selfsup.tasks.classification.label_fields import names_in
from selfsup.tasks.classification.label_notes import label_notes
from selfsup.tasks.classification.metrics import LabellingTask
from selfsup.tasks.classification.raw_labels import encode_labels, settled_labels
from selfsup.tasks.encoders import TEXT_ENCODERS, TextPreparation
from selfsup.tasks.labels import LabelKind, Labels
from selfsup.tasks.models import (
    LinearTargets,
    Losses,
    ScoreLayer,
    TaskModule,
    cross_entropy_loss,
)
from selfsup.tasks.notes import contradiction_notes, key_of, overlap_notes, repetition_notes
from selfsup.tasks.plain_inputs import PlainInputs


class Classification(LabellingTask[LabelledTexts, EncodedTexts]):
    """Classification of single texts, or of pairs of texts."""

    architecture = "ForSequenceClassification"
    family = TEXT_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("class", "multi", "number")
    pipeline = "text-classification"
    pooled = True

    def __init__(self, *, paired: bool) -> None:
        self.paired = paired
        self.name = "pair-classification" if paired else "sequence-classification"
        self.segments = 2 if paired else 1

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> LabelledTexts:
        return read_labelled_texts(file, reading.columns, labelled=labelled, paired=self.paired)

    def read_blocks(
        self, file: str, reading: Reading, tell: Callable[[str], None], size: int
    ) -> Iterator[LabelledTexts]:
        return read_text_blocks(file, reading.columns, tell, size, paired=self.paired)

    def examples_of(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None, first: int = 1
    ) -> LabelledTexts:
        lines = list(range(first, first + len(texts)))
        if not self.paired:
            self.refuse_pairs(text_pairs)
            return LabelledTexts("", lines, list(texts))
        if text_pairs is None:
            raise UserError(f"this model does {self.name}: give the second text with --text-pair")
        if len(text_pairs) != len(texts):
            raise ValueError(f"{len(texts)} first texts and {len(text_pairs)} second texts")
        return LabelledTexts("", lines, list(texts), list(text_pairs))

    def learn_labels(self, examples: LabelledTexts, label_type: LabelKind | None) -> Labels:
        return label_decision.learn_labels(examples, label_type)

    def settled(self, examples: LabelledTexts, labels: Labels) -> LabelledTexts:
        return settled_labels(examples, labels)

    def names_of(self, examples: LabelledTexts, labels: Labels) -> list[tuple[str, ...]]:
        if labels.kind == "number":
            return super().names_of(examples, labels)
        given = examples.labels or []
        return [label if isinstance(label, tuple) else (str(label),) for label in given]

    def reading_notes(
        self, train: LabelledTexts, validation: LabelledTexts, labels: Labels
    ) -> list[str]:
        keys = [
            [key_of(*part.parts(index)) for index in range(len(part))]
            for part in (train, validation)
        ]
        notes = label_notes(train, validation, labels)
        for part, of_part in zip((train, validation), keys, strict=True):
            notes += repetition_notes(part.source, of_part, part.lines)
            if labels.kind != "number":
                true = [tuple(sorted(names_in(label))) for label in part.labels or []]
                notes += contradiction_notes(part.source, of_part, true, part.lines)
        return notes + overlap_notes(
            train.source, keys[0], validation.source, keys[1], validation.lines
        )

    def encode_examples(
        self, examples: LabelledTexts, labels: Labels, preparation: TextPreparation
    ) -> EncodedTexts:
        return encode_texts(
            preparation.tokenizer,
            examples.first,
            preparation.limits,
            encode_labels(examples, labels),
            text_pairs=examples.second,
            source=examples.source,
        )

    def plain_inputs(self, encoded: EncodedTexts, examples: LabelledTexts) -> PlainInputs:
        texts = [examples.parts(index) for index in range(len(examples))]
        return PlainInputs("texts", texts, encoded.labels, np.ones(len(texts), np.int64))

    def build_model(
        self, encoder: TextEncoder, labels: Labels, dropout: float
    ) -> "SequenceClassifier":
        return SequenceClassifier(encoder, labels, dropout)

    def parameter_names(self, config: EncoderConfig) -> NameTable:
        family = text_family(config)
        return {
            **family.encoder_names("encoder."),
            **family.classification.parameter_names("classifier"),
        }

    def records(
        self, examples: LabelledTexts, predictions: Iterable[Prediction]
    ) -> Iterator[dict[str, Any]]:
        """Lines of a predictions file, in the order of the examples.

        With a known label, the line has it as ``label`` (``labels``, ``value``), and the prediction
        as ``prediction``, besides the probabilities.
        """
        for index, prediction in enumerate(predictions):
            record: dict[str, Any] = {"text": examples.first[index]}
            if examples.second is not None:
                record["text_pair"] = examples.second[index]
            if examples.labels is None:
                yield {**record, **prediction}
                continue
            name = next(key for key in ("label", "labels", "value") if key in prediction)
            label = examples.labels[index]
            true = float(str(label)) if name == "value" else label
            record |= {name: true, "prediction": prediction[name]}
            if "probabilities" in prediction:
                record["probabilities"] = prediction["probabilities"]
            yield record

    def card_example(self, labels: Labels) -> CardExample:
        if not self.paired:
            return CardExample()
        return CardExample(
            '"A text." --text-pair "Another."', '{"text": "A text.", "text_pair": "Another."}'
        )


class SequenceClassifier(TaskModule):
    """An encoder and a head over its ``[CLS]``: its family's layers, and a linear one.

    Numbers are learned as standardized values, whatever their range; ``scores`` gives the numbers
    themselves.
    """

    def __init__(self, encoder: TextEncoder, labels: Labels, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        config = encoder.config
        self.transform = text_family(config).classification.layers(config, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(config.hidden_size, len(labels))
        self.labels = labels

    def forward(self, batch: TextBatch) -> Losses:
        """The losses of a batch; with ``contrast``, that of the texts' vectors as well."""
        pooled = self.linear_input(self.features(batch))
        losses = self.loss(self.classifier(self.dropout(pooled)), batch)
        if self.contrast:
            vectors = mean_of_windows(pooled.float(), batch.window_counts)
            loss, none = (
                supervised_contrast(vectors, batch.labels),
                torch.zeros((), dtype=torch.int64),
            )
            losses["contrast"] = (self.contrast * loss, none, len(batch.labels))
        return losses

    def features(self, batch: TextBatch) -> Tensor:
        """The frozen layers' output for each window: the last state of its ``[CLS]``, [W, D]."""
        return self.encoder.sequence_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def standardize_by(self, features: Tensor) -> None:
        if "pooler" in pooled_parts(self.encoder):
            standardize(self.encoder.pooler, features)

    def linear_input(self, features: Tensor) -> Tensor:
        return self.transform(self.encoder.pool(features))

    def linear_targets(self, encoded: EncodedTexts) -> LinearTargets:
        """A row for each text: the mean over its windows."""
        true = encoded.labels
        if self.labels.kind == "number":
            true = ((true - self.labels.mean) / self.labels.std).astype(np.float32)
        texts = np.arange(len(encoded))
        return LinearTargets(true, encoded.window_counts, texts, len(self.labels))

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(*self.encoder.pooling, *self.transform, self.dropout, self.classifier)

    def loss(self, output: Tensor, batch: TextBatch) -> Losses:
        """The loss of the texts. A text's scores are the means over its windows.

        One label a text: cross-entropy. Several labels: the mean over the labels of their binary
        cross-entropies. Numbers: the squared error in standard deviations of the training numbers.
        """
        scores, true = mean_of_windows(output.float(), batch.window_counts), batch.labels
        if self.labels.kind == "class":
            return cross_entropy_loss("classification", scores, true, self.class_weights)
        if self.labels.kind == "multi":
            weights = self.class_weights
            loss = F.binary_cross_entropy_with_logits(scores, true, pos_weight=weights)
            right = ((scores.detach() > 0) == (true > 0.5)).all(-1).sum()
        else:
            loss = F.mse_loss(scores.squeeze(-1), (true - self.labels.mean) / self.labels.std)
            right = torch.zeros((), dtype=torch.int64)
        return {"classification": (loss, right, len(true))}

    def final(self, output: Tensor) -> Tensor:
        """Numbers in the units of the file; other scores unchanged."""
        labels = self.labels
        return output if labels.kind != "number" else output * labels.std + labels.mean

    def saved_head(self) -> dict[str, Tensor]:
        """Weights that predict numbers in their own units."""
        std, layer = self.labels.std, self.classifier
        bias = layer.bias * std + self.labels.mean
        return {"classifier.weight": layer.weight * std, "classifier.bias": bias}


def mean_of_windows(scores: Tensor, window_counts: Tensor) -> Tensor:
    """Average the scores of windows, [W, C], to those of texts, [B, C].

    Args:
        scores: the windows of a text follow each other.
        window_counts: int64 [B], 1 or more each.
    """
    if len(scores) == len(window_counts):
        return scores
    return torch.segment_reduce(scores, "mean", lengths=window_counts, axis=0)
