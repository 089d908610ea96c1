"""Which training examples are held out for validation."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfsup.errors import UserError
from selfsup.tasks.base import Reading
from selfsup.tasks.held_out import choose_held_out, hold_out
from selfsup.tasks.registry import TASKS
from selfsup.tasks.tables import Columns
from tests.toy_tasks import write_toy_conll

CLASSIFY, PAIRS = "sequence-classification", "pair-classification"


def divided(
    task: str, file: Path, share: float = 0.25, seed: int = 0, **columns: Any
) -> tuple[Any, Any]:
    reading = Reading(Columns(**columns))
    examples = TASKS[task].read_examples(str(file), reading, labelled=True).drop_empty()
    return hold_out(TASKS[task], examples, None, share, seed)[:2]


def write_rows(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@given(
    labels=st.lists(st.sampled_from("aaaabbc"), min_size=1, max_size=80),
    share=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_each_class_has_its_share_and_one_on_each_side(labels, share: float, seed: int):
    keys, names = [(str(number),) for number in range(len(labels))], [(name,) for name in labels]
    held = choose_held_out(keys, labels, names, share, seed)
    for name, count in Counter(labels).items():
        of_name = int(held[np.asarray(labels) == name].sum())
        assert of_name == (max(1, round(share * count)) if count > 1 else 0)


@given(
    examples=st.lists(
        st.tuples(st.sampled_from("pqrstuvw"), st.sampled_from("abc")), min_size=1, max_size=60
    ),
    share=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_the_same_text_is_on_one_side_and_every_label_is_trained(examples, share, seed):
    texts, labels = zip(*examples, strict=True)
    names = [(label,) for label in labels]
    held = choose_held_out([(text,) for text in texts], labels, names, share, seed)
    sides = [{text for text, is_held in zip(texts, held, strict=True) if is_held is side}
             for side in (True, False)]  # fmt: skip
    assert not sides[0] & sides[1]
    assert not held.all()
    trained = {label for label, is_held in zip(labels, held, strict=True) if not is_held}
    assert trained == set(labels)
    if len(set(texts)) > 1 and len(set(labels)) == 1:
        assert held.any()


def test_another_seed_makes_another_choice_and_the_same_seed_the_same():
    keys = [(str(number),) for number in range(100)]
    choices = [choose_held_out(keys, [0] * 100, [()] * 100, 0.2, seed) for seed in (0, 0, 1)]
    assert (choices[0] == choices[1]).all()
    assert (choices[0] != choices[2]).any()
    assert [int(choice.sum()) for choice in choices] == [20, 20, 20]


def test_texts_that_differ_in_case_spaces_or_unicode_form_are_the_same():
    texts = ["Caf\u00e9 au lait", "cafe\u0301 au  LAIT", "tea", "TEA ", "water", " water"]
    for seed in range(8):
        held = choose_held_out([(text,) for text in texts], [0] * 6, [()] * 6, 0.4, seed)
        assert held.sum() == 2
        assert (held[::2] == held[1::2]).all()


def test_texts_of_a_table_are_stratified_and_the_note_says_so(tmp_path):
    file = tmp_path / "train.csv"
    rows = [f'"text {number}, 좋다",{"yes" if number % 4 else "no"}' for number in range(80)]
    file.write_text("\n".join(["text,label", *rows, '"text 1, 좋다",yes', ",no"]) + "\n", "utf-8")
    train, validation = divided(CLASSIFY, file, 0.1, seed=3)
    assert (len(train), Counter(validation.labels)) == (73, {"yes": 6, "no": 2})
    assert train.notes[-1] == (
        f"{file}: 9.88 % (8 of 81 examples) held out for validation, stratified by label (seed 3)"
    )
    assert (train.source, validation.source) == (str(file), f"{file} (held out)")
    assert sorted(train.lines + validation.lines) == list(range(2, 83))


def test_several_labels_and_numbers_are_held_out_at_random(tmp_path):
    several = [{"text": f"t{n}", "label": ["a", "b"][: 1 + n % 2]} for n in range(40)]
    several[7]["label"] = ["once"]
    for rows in (several, [{"text": f"t{n}", "label": n / 40 + 0.001} for n in range(40)]):
        for seed in range(5):
            train, validation = divided(CLASSIFY, write_rows(tmp_path / "a.jsonl", rows), seed=seed)
            assert (len(train), len(validation)) == (30, 10)
            assert ("once",) not in validation.labels
            assert train.notes[-1].endswith(f"held out for validation, at random (seed {seed})")


def test_pairs_of_the_same_first_text_stay_together(tmp_path):
    rows = [
        {"premise": f"p{n // 3}", "hypothesis": f"h{n}", "label": "xyz"[n % 3]} for n in range(120)
    ]
    train, validation = divided(PAIRS, write_rows(tmp_path / "a.jsonl", rows), 0.1)
    assert Counter(validation.labels) == {"x": 4, "y": 4, "z": 4}
    assert not set(train.first) & set(validation.first)
    few = [{**row, "premise": f"aspect {n % 4}"} for n, row in enumerate(rows)]
    train, validation = divided(PAIRS, write_rows(tmp_path / "b.jsonl", few), 0.1)
    assert Counter(validation.labels) == {"x": 4, "y": 4, "z": 4}


def test_questions_of_one_context_stay_together(tmp_path):
    paragraphs = []
    for number in range(30):
        context = f"In {1900 + number} it rained."
        answers = [{"text": str(1900 + number), "answer_start": 3}]
        qas = [{"id": f"{number}-{n}", "question": f"When {n}?", "answers": answers}
               for n in range(1 + number % 5)]  # fmt: skip
        paragraphs.append({"context": context, "qas": qas})
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    train, validation = divided("question-answering", file, 0.2)
    assert len(validation) == 18
    assert len(train) == 72
    contexts = [{part.context(n) for n in range(len(part))} for part in (train, validation)]
    assert not contexts[0] & contexts[1]
    assert all(a[0].text in validation.context(n) for n, a in enumerate(validation.answers))


def test_tagged_sentences_stay_whole_and_their_tags_are_trained(tmp_path):
    file = write_toy_conll(tmp_path / "train.conll", 60, 1)
    for seed in range(3):
        train, validation = divided("token-classification", file, 0.2, seed)
        tags = [{tag for sentence in part.sentences for tag in sentence.tags}
                for part in (train, validation)]  # fmt: skip
        assert tags[1] <= tags[0]
        assert len(train) + len(validation) == 60
        assert 8 <= len(validation) <= 12
        assert not set(train.keys()) & set(validation.keys())


def test_images_are_stratified_by_class_and_copies_stay_together(tmp_path):
    for number in range(24):
        for name in [str(number)] + ([f"{number}-copy"] if number % 4 == 0 else []):
            folder = tmp_path / ("cat" if number % 3 else "dog")
            folder.mkdir(exist_ok=True)
            colours = np.random.default_rng(number).integers(0, 255, (10, 10, 3), np.uint8)
            Image.fromarray(colours).save(folder / f"{name}.png")
    train, validation = divided("image-classification", tmp_path, 0.25)
    assert Counter(validation.labels) == {"cat": 5, "dog": 2}
    assert not set(train.digests) & set(validation.digests)
    assert len(set(train.files) | set(validation.files)) == 30


@pytest.mark.parametrize(
    "rows",
    [
        [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}],
        [{"text": "a", "label": "x"}] * 5 + [{"text": "b", "label": "y"}] * 5,
        [{"text": "a", "label": str(n % 2)} for n in range(8)],
    ],
)
def test_where_none_can_be_held_out_that_is_refused(tmp_path, rows):
    file = write_rows(tmp_path / "a.jsonl", rows)
    with pytest.raises(UserError, match="can be held out for validation, as each label needs two"):
        divided(CLASSIFY, file)
