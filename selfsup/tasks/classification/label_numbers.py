"""Labels that are numbers, in the notations that files have."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
# One comma that does not separate thousands: these have one to three digits before it, the first
# of them no zero, and three after it.
_DECIMAL_COMMA = re.compile(r"[+-]?(0*,\d+|\d{4,},\d+|\d*,(\d{1,2}|\d{4,}))")
# Digits in groups: 1,234 may be a thousand or a little more than one.
_GROUPED = re.compile(r"[+-]?\d+([.,'’ \u00a0\u202f]\d+)+")
_LARGEST = 1e30


@dataclass(frozen=True)
class Numbers:
    """The numbers among the labels of a file.

    Attributes:
        values: those that can be read, by the label.
        doubtful: those that are numbers in some notation, but it is not certain which number.
        notation: how they are written, if not plainly: " with a decimal comma", " in percent".
    """

    values: dict[str, float]
    doubtful: list[str]
    notation: str


def read_numbers(labels: Iterable[str]) -> Numbers:
    """Find the numbers among labels, and the notation that all of them share.

    A comma is a decimal comma where the labels have no point, and some comma cannot separate
    thousands. Percentages are numbers where all labels are.
    """
    bare = {label: label.replace("\N{MINUS SIGN}", "-") for label in labels}
    in_percent = bool(bare) and all(number.endswith("%") for number in bare.values())
    bare = {label: number.removesuffix("%").strip() for label, number in bare.items()}
    decimal_comma = any(map(_DECIMAL_COMMA.fullmatch, bare.values())) and not any(
        _PLAIN.fullmatch(number) and "." in number for number in bare.values()
    )
    values: dict[str, float] = {}
    doubtful = []
    for label, number in bare.items():
        pointed = number.replace(",", ".") if decimal_comma else number
        is_plain = _PLAIN.fullmatch(pointed) and abs(float(pointed)) < _LARGEST
        if is_plain and label.endswith("%") <= in_percent:
            values[label] = float(pointed)
        elif is_plain or _GROUPED.fullmatch(number):
            doubtful.append(label)
    notation = " in percent" if in_percent else ""
    return Numbers(values, doubtful, (" with a decimal comma" if decimal_comma else "") + notation)
