"""Schemes are recognised, and what breaks them is reported by line."""

import pytest

from selfsup.errors import UserError
from selfsup.tasks.token_classification.columns import read_conll
from selfsup.tasks.token_classification.tag_scheme import (
    OUTSIDE,
    Tag,
    TaggedText,
    complete_tags,
    entities_in_a_pipeline,
    find_invalid_transitions,
    find_scheme,
    read_tags,
    scheme_notes,
)


def tagged(*sentences: str) -> list[TaggedText]:
    """Sentences of the given tags, a line for each, a blank one between."""
    texts, line = [], 1
    for tags in map(str.split, sentences):
        lines = list(range(line, line + len(tags)))
        texts.append(TaggedText.from_words(line, ["w"] * len(tags), tags, lines))
        line += len(tags) + 1
    return texts


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-A I-A O B-B", "BIO"),
        ("O O", "BIO"),
        ("B-A B-B", "BIO"),
        ("I-A I-A O I-B B-B", "IOB1"),
        ("B-A I-A E-A O S-B", "BIOES"),
        ("S-A O", "BIOES"),
        ("B-A I-A L-A O U-B", "BILOU"),
        ("B-A M-A E-A O S-B", "BMES"),
        ("NOUN VERB O", "plain"),
        ("B I O", "BIO"),
        ("B M E S", "BMES"),
    ],
)
def test_the_scheme_is_told_by_the_tags(tags, scheme):
    sentences = tagged(tags)
    assert find_scheme("f", sentences) == scheme
    assert find_invalid_transitions(sentences, scheme) == []


def test_of_two_schemes_that_are_broken_as_often_it_is_the_usual_one():
    sentences = tagged("B-A I-B")
    assert (
        len(find_invalid_transitions(sentences, "BIO"))
        == len(find_invalid_transitions(sentences, "IOB1"))
        == 1
    )
    assert find_scheme("f", sentences) == "BIO"


@pytest.mark.parametrize(
    ("scheme", "tags", "invalid"),
    [
        ("BIO", "I-A O I-A O", [(1, "I-A at the beginning"), (3, "I-A after O")]),
        ("BIO", "B-A I-B I-B O", [(2, "I-B after B-A")]),
        ("IOB1", "I-A B-A B-B", [(3, "B-B after B-A")]),
        ("BIOES", "B-A O S-A I-A E-A", [(2, "O after B-A"), (4, "I-A after S-A")]),
        ("BIOES", "B-A I-A", [(2, "I-A at the end")]),
        ("BILOU", "B-A L-B U-A L-A", [(2, "L-B after B-A"), (4, "L-A after U-A")]),
    ],
)  # fmt: skip
def test_tags_that_cannot_stand_where_they_stand_are_named(scheme, tags, invalid):
    found = find_invalid_transitions(tagged(tags), scheme)
    assert [(each.line, each.what) for each in found] == invalid


def test_a_sentence_begins_again():
    assert [each.line for each in find_invalid_transitions(tagged("B-A", "I-A"), "BIO")] == [3]


def test_invalid_are_counted_and_the_first_are_shown():
    good = ["B-A I-A"] * 9
    assert scheme_notes("f", tagged(*good)) == []
    (note,) = scheme_notes("f", tagged(*good, "I-A O I-B O I-B O I-B"))
    assert note.startswith("f: 4 tags break the BIO scheme (line 28: I-A at the beginning; line 30")
    assert "…); a tag that continues nothing is taken to begin an entity" in note


def test_another_scheme_and_plain_tags_are_said():
    assert scheme_notes("f", tagged("I-A O I-B")) == ["f: the tags are read as IOB1"]
    assert scheme_notes("f", tagged("U-A O")) == ["f: the tags are read as BILOU"]
    assert "neighbouring words with the same tag" in scheme_notes("f", tagged("DET NOUN"))[0]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("B-A I-A O A", "f, line 4: tag 'A' is neither O nor a type with a prefix"),
        ("B-A b-A", "f, line 2: tag 'b-A'"),
        ("B-A B-", "f, line 2: tag 'B-'"),
        ("0 3 0", "f, line 1: the tags are numbers"),
    ],
)
def test_tags_of_no_scheme_are_refused(tags, said):
    with pytest.raises(UserError, match=said):
        scheme_notes("f", tagged(tags))


@pytest.mark.parametrize(
    ("tags", "is_known"),
    [
        (["O", "B-PER", "I-PER"], True),
        (["O", "PER", "LOC"], True),
        (["O", "B-PER", "I-PER", "E-PER", "S-PER"], False),
        (["O", "B-PER", "I-PER", "L-PER", "U-PER"], False),
        (["O", "B", "I"], False),
    ],
)
def test_what_the_pipeline_of_transformers_makes_of_tags_is_known(tags, is_known):
    assert entities_in_a_pipeline(tags) == is_known


def test_tags_are_read_alike_in_every_scheme():
    assert read_tags(["O", "B-x-y", "L-x", "U-x", "E-x", "S-x", "M-x"]) == (
        OUTSIDE, Tag("B", "x-y"), Tag("E", "x"), Tag("S", "x"), Tag("E", "x"), Tag("S", "x"),
        Tag("I", "x"),
    )  # fmt: skip
    assert read_tags(["NOUN", "O"]) == (Tag("I", "NOUN"), OUTSIDE)


def test_the_tags_of_a_type_are_completed():
    assert complete_tags({"B-LOC", "I-ART"}, "BIO") == ("O", "B-ART", "I-ART", "B-LOC", "I-LOC")
    assert complete_tags({"U-A"}, "BILOU") == ("O", "B-A", "I-A", "L-A", "U-A")
    assert complete_tags({"B", "O"}, "BIO") == ("O", "B", "I")
    assert complete_tags({"VERB", "NOUN"}, "plain") == ("NOUN", "VERB")
    assert "U-A" in complete_tags({"U-A", "S-A"}, "BIOES")


@pytest.mark.parametrize("name", ["train", "dev"])
def test_real_files_keep_to_their_scheme(shared_data, name):
    file = str(shared_data / "tasks" / "wnut17" / f"{name}.conll")
    assert scheme_notes(file, read_conll(file, labelled=True).sentences) == []
