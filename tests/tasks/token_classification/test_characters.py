"""Sentences of characters: their text, their pieces, and models of characters."""

import json
from dataclasses import replace

import numpy as np
import pytest

from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Reading
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS
from selfsup.tasks.tables import Columns
from selfsup.tasks.token_classification.files import read_tagged_file

task = TASKS["token-classification"]
TEXT = "안나는 파리에 산다."
TAGS = ["B-PS", "I-PS", "O", "O", "B-LC", "I-LC", "O", "O", "O", "O", "O"]
LINES = "".join(f"{character}\t{tag}\n" for character, tag in zip(TEXT, TAGS, strict=True))
KLUE = f"## klue-ner-v1_dev_00000\t<안나:PS>는 <파리:LC>에 산다.\n{LINES}\n## 1\t다\n다\tO\n"
CHARACTERS = sorted(set("안나는파리에산다."))
VOCABULARY = (*SPECIAL_TOKENS, *CHARACTERS, *(f"##{character}" for character in CHARACTERS))


def preparation() -> TextPreparation:
    ids = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = wordpiece_tokenizer(ids, lowercase=False, strip_accents=False)
    return TextPreparation(tokenizer, Limits(max_length=32, doc_stride=8))


def examples_of(tmp_path, content: str, name: str = "train.tsv"):
    (tmp_path / name).write_text(content, encoding="utf-8")
    return task.read_examples(str(tmp_path / name), Reading(), labelled=True)


@pytest.mark.parametrize("space", [" ", "", "\u00a0"])
def test_a_line_of_a_space_separates_words(tmp_path, space):
    content = KLUE.replace(" \tO", f"{space}\tO")
    examples = examples_of(tmp_path, content)
    sentence, last = examples.sentences
    assert examples.by_character
    assert "its words are characters" in examples.notes[0]
    assert (sentence.text, last.text) == (TEXT.replace(" ", space or " "), "다")
    assert sentence.words == list(TEXT.replace(" ", ""))
    assert sentence.tags == [
        tag for character, tag in zip(TEXT, TAGS, strict=True) if character != " "
    ]
    assert sentence.word_lines[3] == 6


def test_rows_of_characters_are_read_alike(tmp_path):
    row = json.dumps({"sentence": "x", "tokens": list(TEXT), "ner_tags": TAGS})
    (sentence,) = examples_of(tmp_path, row, "train.jsonl").sentences
    expected = replace(examples_of(tmp_path, LINES).sentences[0], word_lines=[1] * 9)
    assert sentence == expected


def test_characters_without_spaces_are_words_and_a_missing_word_is_a_mistake(tmp_path):
    assert not examples_of(tmp_path, "我 O\n在 O\n北 B-LOC\n京 I-LOC\n").by_character
    with pytest.raises(UserError, match="line 2: no word in column 1"):
        examples_of(tmp_path, "안나\tB-PS\n\tO\n파리\tO\n")


def test_a_character_is_the_piece_that_wordpiece_makes_of_it_in_its_word(tmp_path):
    examples, prepared = examples_of(tmp_path, KLUE), preparation()
    labels = task.learn_labels(examples, None)
    windows = task.encode_examples(examples, labels, prepared).windows
    expected = [prepared.tokenizer.encode(each.text).ids for each in examples.sentences]
    np.testing.assert_array_equal(windows.input_ids, np.concatenate(expected))
    np.testing.assert_array_equal(windows.word_positions, [*range(1, 10), 1])


def test_a_model_of_characters_tags_the_characters_of_a_text(tmp_path):
    examples, prepared = examples_of(tmp_path, KLUE), preparation()
    labels = task.learn_labels(examples, None)
    new = task.examples_of([TEXT, ""], None)
    encoded = task.encode_examples(new, labels, prepared)
    scores = np.eye(len(labels), dtype=np.float32)[[labels.names.index(tag) for tag in TAGS
                                                    if tag != "O"] + [0] * 5]  # fmt: skip
    answer, empty = task.decode(scores, encoded, new, labels)
    assert answer["words"] == examples.sentences[0].words
    assert [entity["text"] for entity in answer["entities"]] == ["안나", "는 파"]
    assert empty["words"] == []
    assert (task.card_example(labels), labels.fitted) == (CardExample(), {"by_character": 1})


def test_tags_of_characters_and_of_words_are_not_mixed(tmp_path):
    characters = examples_of(tmp_path, KLUE)
    words = examples_of(tmp_path, "안나\tB-PS\n산다\tO\n", "words.tsv")
    of_characters = task.learn_labels(characters, None)
    with pytest.raises(UserError, match=r"words\.tsv: its tags are of whole words and those of th"):
        task.encode_examples(words, of_characters, preparation())
    of_words = Labels("tag", of_characters.names)
    with pytest.raises(UserError, match=r"train\.tsv: its tags are of characters and those of the"):
        task.encode_examples(characters, of_words, preparation())
    file = str(tmp_path / "train.tsv")
    new = read_tagged_file(file, Columns(), labelled=False)
    assert task.encode_examples(new, of_words, preparation()).word_counts.tolist() == [4, 1]
