"""Token classification: each word has one tag, and tags form entities (BERT §5.3).

Shapes: T tokens of a batch, R words (rows), D width, C tags.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading, Task
from selfsup.tasks.classification.metrics import softmax
from selfsup.tasks.encoders import TEXT_ENCODERS, TextPreparation
from selfsup.tasks.labels import LabelKind, Labels, unknown_label
from selfsup.tasks.models import (
    LinearTargets,
    Losses,
    ScoreLayer,
    TaskModule,
    cross_entropy_loss,
)
from selfsup.tasks.notes import contradiction_notes, listed, overlap_notes, repetition_notes
from selfsup.tasks.plain_inputs import PlainInputs
from selfsup.tasks.samples import f1_of_sample
from selfsup.tasks.token_classification.characters import characters_inside, in_characters
from selfsup.tasks.token_classification.files import of_text, read_sentence_blocks, read_tagged_file
from selfsup.tasks.token_classification.metrics import (
    Entity,
    confusion_of_kinds,
    count_entities,
    entity_metrics,
    find_entities,
    metrics_by_kind,
)
from selfsup.tasks.token_classification.spelling import usual_tags
from selfsup.tasks.token_classification.tag_scheme import (
    TaggedText,
    TaggedTexts,
    complete_tags,
    entities_in_a_pipeline,
    find_scheme,
    read_tags,
)
from selfsup.tasks.token_classification.windows import EncodedSentences, WordBatch, encode_words

# A file with more different tags than this, each of them rare, does not hold tags.
_MANY_TAGS = 50
# A type with fewer entities is hardly learned.
_FEWEST_ENTITIES = 8
# The entry of ``Labels.fitted`` of a model whose words are characters.
_BY_CHARACTER = "by_character"


class TokenClassification(Task[TaggedTexts, EncodedSentences]):
    """Tagging of words, such as named-entity recognition."""

    name = "token-classification"
    architecture = "ForTokenClassification"
    family = TEXT_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("tag",)
    pipeline = "token-classification"

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> TaggedTexts:
        return read_tagged_file(file, reading.columns, labelled=labelled)

    def read_blocks(
        self, file: str, reading: Reading, tell: Callable[[str], None], size: int
    ) -> Iterator[TaggedTexts]:
        return read_sentence_blocks(file, reading.columns, tell, size)

    def examples_of(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None, first: int = 1
    ) -> TaggedTexts:
        self.refuse_pairs(text_pairs)
        return TaggedTexts("", [of_text(text, line) for line, text in enumerate(texts, first)])

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
        names = complete_tags(tags, find_scheme(examples.source, examples.sentences))
        return Labels("tag", names, fitted={_BY_CHARACTER: 1} if examples.by_character else {})

    def names_of(self, examples: TaggedTexts, labels: Labels) -> list[tuple[str, ...]]:
        return [tuple(sentence.tags or ()) for sentence in examples.sentences]

    def reading_notes(
        self, train: TaggedTexts, validation: TaggedTexts, labels: Labels
    ) -> list[str]:
        in_train = count_entities(train)
        in_validation = count_entities(validation)
        kinds = _kinds(labels)
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
        keys = [part.keys() for part in (train, validation)]
        lines = [[sentence.line for sentence in part.sentences] for part in (train, validation)]
        for part, of_part, its_lines in zip((train, validation), keys, lines, strict=True):
            tags = [tuple(sentence.tags or ()) for sentence in part.sentences]
            notes += repetition_notes(part.source, of_part, its_lines)
            notes += contradiction_notes(part.source, of_part, tags, its_lines)
        return notes + overlap_notes(train.source, keys[0], validation.source, keys[1], lines[1])

    def encode_examples(
        self, examples: TaggedTexts, labels: Labels, preparation: TextPreparation
    ) -> EncodedSentences:
        examples = _in_words_of(labels, examples)
        inside = [characters_inside(sentence) for sentence in examples.sentences]
        return encode_words(
            preparation.tokenizer,
            [sentence.words for sentence in examples.sentences],
            _tag_numbers(examples, labels.names),
            preparation.limits.max_length,
            preparation.limits.doc_stride,
            examples.source,
            inside if examples.by_character else None,
        )

    def build_model(
        self, encoder: TextEncoder, labels: Labels, dropout: float
    ) -> "TokenClassifier":
        return TokenClassifier(encoder, len(labels), dropout)

    def parameter_names(self, config: EncoderConfig) -> NameTable:
        family = text_family(config)
        return {
            **family.encoder_names("encoder."),
            **family.tokens.parameter_names("classifier"),
        }

    def selection_metric(self, labels: Labels) -> str:
        return "f1"

    def baseline(
        self, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> dict[str, float]:
        """The metrics of the most frequent tag for every word, which is O in most files."""
        found = self.metrics(self.constant_scores(encoded, labels), encoded, examples, labels)
        del found["loss"]
        return found

    def row_labels(self, encoded: EncodedSentences) -> np.ndarray:
        return encoded.windows.labels

    def constant_scores(self, encoded: EncodedSentences, labels: Labels) -> np.ndarray:
        true = encoded.windows.labels
        counts = np.bincount(true, minlength=len(labels)).astype(np.float32)
        return np.tile(counts, (len(true), 1))

    def plain_inputs(self, encoded: EncodedSentences, examples: TaggedTexts) -> PlainInputs:
        words = [tuple(sentence.words) for sentence in examples.sentences]
        return PlainInputs("words", words, encoded.windows.labels, encoded.word_counts)

    def selection_of_sample(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> Callable[[np.ndarray], float]:
        truth = _entities(encoded.windows.labels, encoded, labels)
        said = _entities(scores.argmax(axis=1), encoded, labels)
        right = [len(set(a) & set(b)) for a, b in zip(truth, said, strict=True)]
        counts = [np.array(of, np.int64) for of in (right, [*map(len, truth)], [*map(len, said)])]
        return f1_of_sample(*counts)

    def metrics(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> dict[str, float]:
        """The metrics of scores, float [R, C].

        ``f1``, ``precision`` and ``recall`` are of entities, as ``seqeval`` counts BIO and BIOES;
        ``accuracy`` is of words; ``loss`` is the mean cross-entropy of words in nats.
        """
        true, best = encoded.windows.labels, scores.argmax(axis=1)
        found = entity_metrics(_entities(true, encoded, labels), _entities(best, encoded, labels))
        loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(true))
        return {
            "f1": found["f1"],  # first
            **found,
            "accuracy": float((best == true).mean()),
            "loss": float(loss),
        }

    def details(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> dict[str, Any]:
        """Each type's precision, recall and F1, and the confusion of the types.

        Returns:
            ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
            ``confusion``: see ``confusion_of_kinds``.
        """
        truth = _entities(encoded.windows.labels, encoded, labels)
        predicted = _entities(scores.argmax(axis=1), encoded, labels)
        return {
            "confusion": confusion_of_kinds(truth, predicted, _kinds(labels)),
            "classes": metrics_by_kind(truth, predicted),
        }

    def decode(
        self, scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
    ) -> Iterator[Prediction]:
        """Turn scores, float [R, C], into answers.

        Yields:
            for each sentence ``{"entities": [{"text", "label", "start", "end", "probability"}],
            "words", "tags", "tag_probabilities"}``. ``start`` and ``end`` count characters of the
            sentence's text; an entity's probability is the mean over its tags.
        """
        examples, usual = _in_words_of(labels, examples), usual_tags(labels.names)
        best = scores.argmax(axis=1)
        of_best = softmax(scores.astype(np.float64))[np.arange(len(scores)), best]
        first_words = np.cumsum(encoded.word_counts) - encoded.word_counts
        found = _entities(best, encoded, labels)
        for sentence, first, entities in zip(examples.sentences, first_words, found, strict=True):
            words = slice(first, first + len(sentence.spans))
            yield {
                "entities": [_answer(sentence, entity, of_best[words]) for entity in entities],
                "words": sentence.words,
                "tags": [usual[labels.names[tag]] for tag in best[words].tolist()],
                "tag_probabilities": of_best[words].tolist(),
            }

    def records(
        self, examples: TaggedTexts, predictions: Iterable[Prediction]
    ) -> Iterator[dict[str, Any]]:
        """Lines of a predictions file, in the order of the examples.

        With known tags, the line has them as ``tags``, and the predicted ones as ``prediction``.
        """
        for sentence, prediction in zip(examples.sentences, predictions, strict=True):
            record = {"text": sentence.text, **prediction}
            if sentence.tags is not None:
                record |= {"tags": list(sentence.tags), "prediction": prediction["tags"]}
            yield record

    def count_predictions(
        self, predictions: Iterable[Prediction], labels: Labels
    ) -> dict[str, Any]:
        """How many entities of each type were predicted."""
        counts = Counter(
            entity["label"] for prediction in predictions for entity in prediction["entities"]
        )
        return {"entities": {kind: counts[kind] for kind in _kinds(labels)}}

    def card_example(self, labels: Labels) -> CardExample:
        if _BY_CHARACTER in labels.fitted or not entities_in_a_pipeline(labels.names):
            return CardExample()  # the pipeline gives the tag of each token
        return CardExample(inputs='"A text.", aggregation_strategy="first"')


def _entities(tags: np.ndarray, encoded: EncodedSentences, labels: Labels) -> list[list[Entity]]:
    """The entities in each sentence's tags, int64 [R], read leniently."""
    readings = read_tags(labels.names)
    ends = np.cumsum(encoded.word_counts)
    return [
        find_entities(readings[tag] for tag in part.tolist()) for part in np.split(tags, ends[:-1])
    ]


def _kinds(labels: Labels) -> list[str]:
    """The types of entities among the tags, in alphabetical order."""
    return sorted({tag.kind for tag in read_tags(labels.names) if tag.prefix != "O"})


def _in_words_of(labels: Labels, examples: TaggedTexts) -> TaggedTexts:
    """Examples whose words are characters if those of the model are, and words otherwise.

    Raises:
        UserError: they are not, and have tags.
    """
    by_character = _BY_CHARACTER in labels.fitted
    if examples.by_character == by_character:
        return examples
    if any(sentence.tags is not None for sentence in examples.sentences):
        units = "characters and those of the model whole words"
        if by_character:
            units = "whole words and those of the model characters"
        raise UserError(f"{examples.source}: its tags are of {units}: give tags of the same kind")
    if by_character:
        return in_characters(examples)
    whole = [of_text(sentence.text, sentence.line) for sentence in examples.sentences]
    return replace(examples, sentences=whole, by_character=False)


def _answer(sentence: TaggedText, entity: Entity, probabilities: np.ndarray) -> dict[str, Any]:
    start, end = sentence.spans[entity.first][0], sentence.spans[entity.last][1]
    return {
        "text": sentence.text[start:end],
        "label": entity.kind,
        "start": start,
        "end": end,
        "probability": float(probabilities[entity.first : entity.last + 1].mean()),
    }


def _tag_numbers(examples: TaggedTexts, names: Sequence[str]) -> np.ndarray | None:
    """The index of each word's tag in ``names``, int64 [R]; None where tags are unknown."""
    if any(sentence.tags is None for sentence in examples.sentences):
        return None
    usual = usual_tags(names)
    known = {usual[name]: number for number, name in enumerate(names)}
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

    def __init__(self, encoder: TextEncoder, tag_count: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        config = encoder.config
        self.transform = text_family(config).tokens.layers(config, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(config.hidden_size, tag_count)

    def features(self, batch: WordBatch) -> Tensor:
        """The last state of each word's first piece, [R, D]."""
        hidden = self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)
        return hidden.index_select(0, batch.word_rows)

    def linear_input(self, features: Tensor) -> Tensor:
        return self.transform(features)

    def linear_targets(self, encoded: EncodedSentences) -> LinearTargets:
        """A row for each word."""
        labels = encoded.windows.labels
        sentences = np.repeat(np.arange(len(encoded)), encoded.word_counts)
        one_each, tags = np.ones(len(labels), np.int64), self.classifier.out_features
        return LinearTargets(labels, one_each, sentences, tags)

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(*self.transform, self.dropout, self.classifier)

    def loss(self, output: Tensor, batch: WordBatch) -> Losses:
        """The mean cross-entropy of the words."""
        return cross_entropy_loss("tagging", output, batch.labels, self.class_weights)
