"""Numbers in the notations of several countries, and those that may be several numbers."""

import pytest

from selfsup.tasks.classification.label_numbers import read_numbers


@pytest.mark.parametrize(
    ("labels", "values", "notation"),
    [
        (["5.000", "-2", "1e1", ".5", "+3."], [5, -2, 10, 0.5, 3], ""),
        (["3,5", "4", "-1,25", "1,234"], [3.5, 4, -1.25, 1.234], " with a decimal comma"),
        (["0,850", "1,250"], [0.85, 1.25], " with a decimal comma"),
        (["12345,678", "1,250"], [12345.678, 1.25], " with a decimal comma"),
        (["0,5000", ",5"], [0.5, 0.5], " with a decimal comma"),
        (["45%", "3.5 %"], [45, 3.5], " in percent"),
        (["4,5 %", "3%"], [4.5, 3], " with a decimal comma in percent"),
        (["\N{MINUS SIGN}1.5", "2"], [-1.5, 2], ""),
    ],
)
def test_numbers_are_read_in_the_notation_that_all_share(labels, values, notation):
    numbers = read_numbers(labels)
    assert (list(numbers.values.values()), numbers.notation) == (values, notation)
    assert numbers.doubtful == []


@pytest.mark.parametrize(
    ("labels", "doubtful"),
    [
        (["1,234", "900"], ["1,234"]),
        (["1.234,5", "3,5"], ["1.234,5"]),
        (["1,234,567", "1"], ["1,234,567"]),
        (["1 234", "1.5"], ["1 234"]),
        (["3.5", "2,5"], ["2,5"]),
        (["0.45", "45%"], ["45%"]),
        (["12.05.2024"], ["12.05.2024"]),
    ],
)
def test_what_may_be_several_numbers_is_no_number(labels, doubtful):
    numbers = read_numbers(labels)
    assert numbers.doubtful == doubtful
    assert not numbers.values.keys() & set(doubtful)


@pytest.mark.parametrize("label", ["nan", "inf", "1_000", "x", "", "%", "1e40", "3 stars", "0x10"])
def test_other_texts_are_no_numbers(label: str):
    numbers = read_numbers([label])
    assert (numbers.values, numbers.doubtful) == ({}, [])
