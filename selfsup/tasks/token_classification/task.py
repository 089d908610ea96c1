"""Token classification: each word has one tag, and tags form entities (BERT §5.3).

Shapes: T tokens of a batch, R words (rows), D width, C tags.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading, Task
from selfsup.tasks.encoders import TEXT_ENCODERS, TextPreparation
from selfsup.tasks.labels import LabelKind, Labels, unknown_label
from selfsup.tasks.models import Losses, ScoreLayer, TaskModule, cross_entropy_loss
from selfsup.tasks.notes import contradiction_notes, listed, overlap_notes, repetition_notes
from selfsup.tasks.token_classification import answers
from selfsup.tasks.token_classification.files import of_text, read_tagged_file
from selfsup.tasks.token_classification.tag_scheme import (
    TaggedTexts,
    complete_tags,
    entities_in_a_pipeline,
    find_scheme,
)
from selfsup.tasks.token_classification.windows import EncodedSentences, WordBatch, encode_words

# A file with more different tags than this, each of them rare, does not hold tags.
_MANY_TAGS = 50
# A type with fewer entities is hardly learned.
_FEWEST_ENTITIES = 8


class TokenClassification(Task[TaggedTexts, EncodedSentences]):
    """Tagging of words, such as named-entity recognition."""

    name = "token-classification"
    architecture = "BertForTokenClassification"
    family = TEXT_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("tag",)
    pipeline = "token-classification"

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> TaggedTexts:
        return read_tagged_file(file, reading.columns, labelled=labelled)

    def examples_of(self, texts: Sequence[str], text_pairs: Sequence[str] | None) -> TaggedTexts:
        self.refuse_pairs(text_pairs)
        return TaggedTexts("", [of_text(text, line) for line, text in enumerate(texts, 1)])

    def learn_labels(self, examples: TaggedTexts, label_type: LabelKind | None) -> Labels:
        """The tags that occur, and the others of their scheme for the same types."""
        tags = {tag for sentence in examples.sentences for tag in sentence.tags or ()}
        if len(tags) < 2:
            raise UserError(
                f"{examples.source}: all words are tagged {next(iter(tags), 'O')!r}: there is "
                "nothing to learn; give sentences with entities"
            )
        words = sum(len(sentence.spans) for sentence in examples.sentences)
        if len(tags) > max(_MANY_TAGS, words / 10):
            raise UserError(
                f"{examples.source}: {len(tags):,} different tags of {words:,} words: these are no "
                "tags; give a file with a word and its tag a line"
            )
        return Labels("tag", complete_tags(tags, find_scheme(examples.source, examples.sentences)))

    def reading_notes(
        self, train: TaggedTexts, validation: TaggedTexts, labels: Labels
    ) -> list[str]:
        in_train = answers.count_entities(train)
        in_validation = answers.count_entities(validation)
        kinds = answers.kinds_of(labels)
        notes = []
        rare = [
            f'"{kind}" ({in_train[kind]})' for kind in kinds if in_train[kind] < _FEWEST_ENTITIES
        ]
        if rare:
            notes.append(
                f"{train.source}: types with fewer than {_FEWEST_ENTITIES} entities: {listed(rare)}"
            )
        absent = [f'"{kind}"' for kind in kinds if not in_validation[kind]]
        if absent:
            notes.append(f"{validation.source}: no entity of the type {listed(absent)}")
        keys = [answers.keys_of(part) for part in (train, validation)]
        lines = [[sentence.line for sentence in part.sentences] for part in (train, validation)]
        for part, of_part, its_lines in zip((train, validation), keys, lines, strict=True):
            tags = [tuple(sentence.tags or ()) for sentence in part.sentences]
            notes += repetition_notes(part.source, of_part, its_lines)
            notes += contradiction_notes(part.source, of_part, tags, its_lines)
        return notes + overlap_notes(train.source, keys[0], validation.source, keys[1], lines[1])

    def encode_examples(
        self, examples: TaggedTexts, labels: Labels, preparation: TextPreparation
    ) -> EncodedSentences:
        return encode_words(
            preparation.tokenizer,
            [sentence.words for sentence in examples.sentences],
            _tag_numbers(examples, labels.names),
            preparation.limits.max_length,
            preparation.limits.doc_stride,
            examples.source,
        )

    def build_model(
        self, encoder: BertEncoder, labels: Labels, dropout: float
    ) -> "TokenClassifier":
        return TokenClassifier(encoder, len(labels), dropout)

    def parameter_names(self) -> NameTable:
        return {**encoder_names("encoder."), "classifier": ("classifier",)}

    def selection_metric(self, labels: Labels) -> str:
        return "f1"

    def chance(self, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels) -> float:
        return 0.0  # the F1 of finding no entities

    def metrics(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> dict[str, float]:
        return answers.measure(scores, encoded, labels)

    def details(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> dict[str, Any]:
        return answers.details(scores, encoded, labels)

    def decode(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> list[Prediction]:
        return answers.decode(scores, encoded, examples, labels)

    def records(
        self, examples: TaggedTexts, predictions: Sequence[Prediction]
    ) -> Iterator[dict[str, Any]]:
        return answers.records(examples, predictions)

    def count_predictions(
        self, predictions: Sequence[Prediction], labels: Labels
    ) -> dict[str, Any]:
        return answers.count_predictions(predictions, labels)

    def card_example(self, labels: Labels) -> CardExample:
        if not entities_in_a_pipeline(labels.names):
            return CardExample()  # the pipeline gives the tag of each token
        return CardExample(inputs='"A text.", aggregation_strategy="first"')


def _tag_numbers(examples: TaggedTexts, names: Sequence[str]) -> np.ndarray | None:
    """The index of each word's tag in ``names``, int64 [R]; None where tags are unknown."""
    if any(sentence.tags is None for sentence in examples.sentences):
        return None
    known = {name: number for number, name in enumerate(names)}
    numbers = []
    for sentence in examples.sentences:
        for tag, line in zip(sentence.tags or (), sentence.word_lines, strict=True):
            if tag not in known:
                what = f"{examples.source}, line {line}: tag {tag!r}"
                raise unknown_label(what, names, "fix it, or train with examples of it")
            numbers.append(known[tag])
    return np.asarray(numbers, np.int64)


class TokenClassifier(TaskModule):
    """An encoder and a linear layer over the last states of the words' first pieces."""

    def __init__(self, encoder: BertEncoder, tag_count: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(encoder.config.hidden_size, tag_count)

    def features(self, batch: WordBatch) -> Tensor:
        """The last state of each word's first piece, [R, D]."""
        hidden = self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)
        return hidden.index_select(0, batch.word_rows)

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(self.dropout, self.classifier)

    def loss(self, output: Tensor, batch: WordBatch) -> Losses:
        """The mean cross-entropy of the words."""
        return cross_entropy_loss("tagging", output, batch.labels)
