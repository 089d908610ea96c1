"""Entities and their scores equal those of seqeval."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import metrics as peer
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES

from selfsup.tasks.token_classification.metrics import (
    Entity,
    confusion_of_kinds,
    entity_metrics,
    find_entities,
    metrics_by_kind,
)
from selfsup.tasks.token_classification.tag_scheme import read_tags

KINDS = ("PER", "LOC", "work-of-art")


def tag_names(prefixes: str) -> st.SearchStrategy[str]:
    inside = [f"{prefix}-{kind}" for prefix in prefixes for kind in KINDS]
    return st.sampled_from(["O", "O", *inside])


def pairs_of_sentences(prefixes: str):
    """Some sentences, and two tags for each word of them, valid or not."""
    tag = tag_names(prefixes)
    words = st.lists(st.tuples(tag, tag), min_size=1, max_size=8)
    return st.lists(words, min_size=1, max_size=5).map(
        lambda texts: [[list(column) for column in zip(*words, strict=True)] for words in texts]
    )


@st.composite
def valid_sentences(draw, prefixes: str) -> list[list[str]]:
    """Sentences in a scheme, given by its letters for begin, inside, end and single."""
    begin, inside, end, single = prefixes
    sentences = []
    for _ in range(draw(st.integers(1, 4))):
        tags = []
        for kind in draw(st.lists(st.sampled_from(["O", *KINDS]), min_size=1, max_size=6)):
            length = draw(st.integers(1, 4))
            if kind == "O":
                tags += ["O"] * length
            elif length == 1:
                tags.append(f"{single}-{kind}")
            else:
                middle = [f"{inside}-{kind}"] * (length - 2)
                tags += [f"{begin}-{kind}", *middle, f"{end}-{kind}"]
        sentences.append(tags)
    return sentences


def entities_of(sentences: list[list[str]]) -> list[list[Entity]]:
    return [find_entities(read_tags(tags)) for tags in sentences]


def as_triples(entities: list[Entity]) -> list[tuple[str, int, int]]:
    return [(entity.kind, entity.first, entity.last) for entity in entities]


def their_scores(truth, predicted, **how) -> dict[str, float]:
    return {
        name: getattr(peer, f"{name}_score")(truth, predicted, zero_division=0, **how)
        for name in ("precision", "recall", "f1")
    }


@pytest.mark.parametrize("prefixes", ["BI", "I", "BIES"])
@given(st.data())
def test_entities_are_those_of_seqeval_in_valid_and_invalid_tags(prefixes, data):
    tags = data.draw(st.lists(tag_names(prefixes), min_size=1, max_size=12))
    assert as_triples(find_entities(read_tags(tags))) == get_entities(tags)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
@given(st.data())
def test_scores_are_those_of_seqeval(prefixes, data):
    pairs = data.draw(pairs_of_sentences(prefixes))
    truth, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ours = entity_metrics(entities_of(truth), entities_of(predicted))
    assert ours == their_scores(truth, predicted)
    by_kind = metrics_by_kind(entities_of(truth), entities_of(predicted))
    if not by_kind:
        return  # seqeval's report cannot be of nothing
    report: Any = peer.classification_report(truth, predicted, output_dict=True)
    averages = {"micro avg", "macro avg", "weighted avg"}
    assert by_kind == [
        {
            "label": kind,
            "precision": theirs["precision"],
            "recall": theirs["recall"],
            "f1": theirs["f1-score"],
            "examples": theirs["support"],
        }
        for kind, theirs in sorted(report.items())
        if kind not in averages
    ]


@pytest.mark.parametrize(("scheme", "prefixes"), [(IOB2, "BIIB"), (IOBES, "BIES"), (BILOU, "BILU")])
@given(st.data())
def test_on_valid_tags_scores_are_also_those_of_seqeval_at_its_strictest(scheme, prefixes, data):
    truth = data.draw(valid_sentences(prefixes))
    predicted = data.draw(valid_sentences(prefixes))
    count = min(len(truth), len(predicted))
    pairs = zip(truth[:count], predicted[:count], strict=True)
    cut = [(a + ["O"] * (len(b) - len(a)), b + ["O"] * (len(a) - len(b))) for a, b in pairs]
    truth, predicted = [list(a) for a, _ in cut], [list(b) for _, b in cut]
    ours = entity_metrics(entities_of(truth), entities_of(predicted))
    assert ours == their_scores(truth, predicted, mode="strict", scheme=scheme)


def test_an_entity_that_begins_with_i_is_found():
    assert entities_of([["I-PER", "I-PER", "I-LOC", "O", "I-LOC"]]) == [
        [Entity(0, 1, "PER"), Entity(2, 2, "LOC"), Entity(4, 4, "LOC")]
    ]


def test_tags_without_a_prefix_make_entities_of_neighbours():
    assert entities_of([["PER", "PER", "O", "LOC", "PER"]]) == [
        [Entity(0, 1, "PER"), Entity(3, 3, "LOC"), Entity(4, 4, "PER")]
    ]


def test_confusion_compares_entities_with_equal_borders():
    truth = [[Entity(0, 1, "PER"), Entity(3, 3, "LOC")], [Entity(0, 0, "LOC")]]
    said = [[Entity(0, 1, "LOC"), Entity(3, 4, "LOC")], [Entity(0, 0, "LOC")]]
    assert confusion_of_kinds(truth, said, ("LOC", "PER")) == {
        "labels": ["LOC", "PER", "O"],
        "matrix": [[1, 0, 1], [1, 0, 0], [1, 0, 0]],
    }
