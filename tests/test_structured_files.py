"""JSON is checked for size, depth and types; what does not fit is named in one line."""

import json
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pytest

from selfsup.errors import UserError
from selfsup.structured_files import Count, check, decode_json, is_deeper, parse_json, read_json


class Sizes(TypedDict):
    steps: Count
    name: NotRequired[str | None]
    losses: NotRequired[dict[str, float | None]]
    seeds: NotRequired[list[Count]]


@dataclass
class Pair:
    first: float
    second: float = 0.0

    def __post_init__(self) -> None:
        if self.second < 0:
            raise UserError("second must not be negative: take its opposite")


def test_a_dictionary_comes_back_as_it_is_with_keys_that_its_type_does_not_name():
    value = {"steps": 5, "losses": {"a": 1, "b": None}, "more": [1]}
    assert decode_json(json.dumps(value).encode(), Sizes, "here") == value


def test_an_object_of_a_dataclass_is_built():
    assert decode_json(b'{"first": 1, "other": 2}', Pair, "here") == Pair(1.0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "steps is missing"),
        ({"steps": "5"}, "steps must be a whole number, not '5'"),
        ({"steps": 5.0}, "steps must be a whole number, not 5.0"),
        ({"steps": True}, "steps must be a whole number, not True"),
        ({"steps": -1}, "steps must be at least 0, not -1"),
        ({"steps": 10**400}, "steps must be at most 9007199254740992, not 1000000"),
        ({"steps": 1, "name": ["a"]}, r"name must be a text or null, not \['a'\]"),
        ({"steps": 1, "seeds": [1, None]}, r"seeds\[1\] must be a whole number, not None"),
        ({"steps": 1, "losses": {"a": "b"}}, r"losses \(one of its values\) must be a number"),
        ([], r"it must be a JSON object, not \[\]"),
        (7, "it must be a JSON object, not 7"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(value, said):
    with pytest.raises(UserError, match=f"^summary.json: {said}.*: make it again$") as refused:
        check(value, Sizes, "summary.json", "make it again")
    assert len(str(refused.value)) < 200


def test_what_a_dataclass_says_of_its_values_is_passed_on():
    with pytest.raises(UserError, match=r"^a: second must not be negative: take its opposite$"):
        check({"first": 1, "second": -1}, Pair, "a")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Expecting value"),
        (b'{"steps": ', "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested too deeply"),
        (b'{"steps": 1, "name": "\\ud800"}', "half a character"),
        (b'{"steps": 1, "name": "\xff"}', "codec can't decode"),
        (b'{"steps": ' + b"1" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line(data, said, tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(data)
    with pytest.raises(UserError, match=rf"^{file}: cannot be read as JSON \(.*{said}.*: copy"):
        read_json(file, Sizes)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"cannot be read \(Is a directory\): copy or make it again"
    ):
        read_json(tmp_path, Sizes)


def test_a_text_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="1,001 bytes are too many"):
        parse_json(b" " * 1001, largest=1000)


def test_a_byte_order_mark_and_numbers_that_are_none_are_read():
    assert str(parse_json(b"\xef\xbb\xbf[NaN, Infinity]")) == "[nan, inf]"


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_depth_counts_lists_and_objects(depth):
    value: Any = 7
    for number in range(depth):
        value = [value, 1] if number % 2 else {"a": value}
    assert is_deeper(value, depth - 1)
    assert not is_deeper(value, depth)
