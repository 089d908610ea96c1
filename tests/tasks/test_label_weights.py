"""Files of weights: both forms, and one line for each mistake."""

import json
from pathlib import Path

import pytest

from selfsup.errors import UserError
from selfsup.tasks.label_weights import read_label_weights

NAMES = ("down", "up", "0")


def read(tmp_path: Path, content: str, required=(0, 1)) -> dict[int, float]:
    file = tmp_path / "weights"
    file.write_text(content, encoding="utf-8")
    return read_label_weights(str(file), NAMES, required)


@pytest.mark.parametrize(
    "content",
    [
        '{"up": 1, "down": 2.5}',
        "up\t1\ndown\t2.5\n",
        "label,weight\nup,1\n\ndown,2.5\n",
        "\ufefflabel;weight\r\nup;1\r\ndown;2.5\r\n",
        '"up",1\n"down",2.5',
    ],
)
def test_weights_are_read_from_json_and_from_tables(tmp_path, content):
    assert read(tmp_path, content) == {0: 2.5, 1: 1.0}


def test_a_label_is_found_in_any_of_its_spellings(tmp_path):
    assert read(tmp_path, "0.0\t3\nup\t1\ndown\t1") == {2: 3.0, 1: 1.0, 0: 1.0}


def test_a_weight_may_be_zero_but_not_all_of_them(tmp_path):
    assert read(tmp_path, '{"up": 0, "down": 1}') == {0: 1.0, 1: 0.0}
    with pytest.raises(UserError, match="all weights are 0: nothing would be learned"):
        read(tmp_path, '{"up": 0, "down": 0}')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"up": 1}', "weights: no weight for 'down': add it"),
        ('{"up": 1, "down": 1, "left": 2}', "'left' is no label of the training examples"),
        ("up\t1\ndown\t1\nleft\t1", "line 3: 'left' is no label of the training examples"),
        ("up\t1\ndown\t-1", "line 2: 'down' has the weight -1: give a number from 0 to"),
        ('{"up": 1, "down": NaN}', "'down' has the weight nan"),
        ("up\t1\ndown\tinf", "'down' has the weight inf"),
        ('{"up": 1, "down": true}', "'down' has the weight True"),
        ('{"up": 1, "down": [2]}', r"'down' has the weight \[2\]"),
        ("up\t1\nup\t2\ndown\t1", "line 2: 'up' has two weights: take one out"),
        ("up\t1\t2", "line 1: 3 columns: give two"),
        ("{", "is no JSON"),
        ("", "no weight for 'down', 'up'"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, content)
    assert str(tmp_path / "weights") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_label_weights(str(tmp_path / "none"), NAMES, ())
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_label_weights(str(tmp_path / "bytes"), NAMES, ())


def test_json_weights_survive_a_round_trip(tmp_path):
    assert read(tmp_path, json.dumps(dict.fromkeys(NAMES, 1))) == {0: 1, 1: 1, 2: 1}
