"""What a model takes as texts from Python: columns of any table, but no table, and no gaps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.toy_tasks import toy_examples

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("datasets")

TEXTS = [text for _, text in toy_examples(9, seed=4)]


@pytest.mark.parametrize(
    "make",
    [
        tuple,
        iter,
        np.array,
        lambda texts: np.array(texts, object),
        pd.Series,
        lambda texts: pd.Series(texts, index=range(50, 50 + len(texts)), dtype="string"),
        lambda texts: pd.Series(texts, dtype="category"),
        lambda texts: pd.DataFrame({"text": texts})["text"],
        pa.array,
        lambda texts: pa.table({"text": texts})["text"],
        lambda texts: datasets.Dataset.from_dict({"text": texts})["text"],
        lambda texts: {str(number): text for number, text in enumerate(texts)}.values(),
    ],
)
def test_texts_may_stand_in_any_column(make: Callable[[list[str]], Any], predictor):
    assert predictor.predict(make(TEXTS)) == predictor.predict(TEXTS)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"text": TEXTS}),
        pa.table({"text": TEXTS}),
        datasets.Dataset.from_dict({"text": TEXTS}),
        {"text": TEXTS},
    ],
)
def test_the_names_of_columns_are_not_taken_for_texts(table, predictor):
    with pytest.raises(TypeError, match=r'give the column with the texts, such as df\["text"\]'):
        predictor.predict(table)
    with pytest.raises(TypeError, match="text_pairs is a"):
        predictor.predict(TEXTS, table)


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (pd.Series(["a", None, "b"]), r"texts\[1\] is (nan|None)"),
        (pd.Series(["a", None], dtype="string"), r"texts\[1\] is <NA>"),
        (["a", float("nan"), "b", None], r"texts\[1\] is nan, of type float \(and 1 more of 4\)"),
        (
            pa.array([None, "a"]),
            r"texts\[0\] is None, of type .*: leave such rows",
        ),
        (["a", 7], r"texts\[1\] is 7, of type int"),
        (np.array([["a", "b"]]), r"texts\[0\] is array"),
        ([b"a"], r"texts\[0\] is b'a', of type bytes"),
        ([("a", "b")], r"for pairs give two lists, predict\(texts, text_pairs\)"),
    ],
)
def test_what_is_no_text_is_named_with_its_index(texts, what: str, predictor):
    with pytest.raises(TypeError, match=what):
        predictor.predict(texts)


@pytest.mark.parametrize("given", [None, 7, b"a film", {"a film"}])
def test_what_holds_no_texts_in_order_is_refused(given, predictor):
    with pytest.raises(TypeError, match="give a list of texts"):
        predictor.predict(given)
