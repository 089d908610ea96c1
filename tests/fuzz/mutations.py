"""Strategies of damaged files: valid examples with a few random changes.

``mutated`` changes bytes, for every kind of file. ``mutated_text`` knows lines and values too, and
``mutated_json`` the values of JSON, which stays JSON mostly. Positions are shares of the content,
so that a change means the same for a short and for a long file.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

_PARTS = 1 << 16
# Content grows to this size at most, so that what a reader keeps in memory can be judged.
_LONGEST = 1 << 20
_LONGEST_SHOWN = 400

STRANGE = (
    b"", b"\0", b"\0" * 300, b"\r", b"\n\n\n", b"\x1b[2J", b"\x85", b"\xe2\x80\xa8", b"\xff",
    b"\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\xc0\xaf", b"\xea\xb0\x80", b"\xe1\x84\x80\xe1\x85\xa1", b"e\xcc\x81", b"\xef\xbf\xbd",
    b"\xe2\x80\xae", b'"', b'""', b"'", b"\\", b"\\ud800", b"\\u0000", b",", b";", b"\t", b"|",
    b"{", b"}", b"[", b"]", b"#", b"-", b"O", b"B-", b"I-PER", b"-DOCSTART-", b"=1+1", b"../..",
    b"%s%n", b"{0}",
)  # fmt: skip
VALUES = (
    b"", b"0", b"-1", b"-0.0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"nan", b"null", b"None",
    b"true", b"false", b"[]", b"{}", b'""', b'"a"', b'"\\ud800"', b'"\\u0000"', b"[[]]", b"[null]",
    b'{"": null}', b"1_000", b"0x10", b"99999999999999999999", b"9" * 400, b"9" * 5000, b"1.5",
    "٣".encode(), "²".encode(), b"1,2", b"2147483648", b"-9223372036854775809", b"a" * 70000,
)  # fmt: skip
_ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp949",
              "shift_jis", "utf-7", "cp037")  # fmt: skip
_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s,:;|"\[\]{}]+')
_LINE_ENDS = (b"\r\n", b"\r", b"\n\n", b"\n\r", b"\xe2\x80\xa8", b"\x0c", b"\0", b" ")
_DEPTHS = (1, 2, 7, 8, 30, 150, 320, 480, 700, 900, 960, 5000, 100_000)

Mutation = Callable[[bytes], bytes]


class Content(bytes):
    """A file's content, of which messages show the beginning and the end."""

    def __repr__(self) -> str:
        if len(self) <= _LONGEST_SHOWN:
            return repr(bytes(self))
        half = _LONGEST_SHOWN // 2
        return f"{bytes(self[:half])!r} … {len(self):,} bytes … {bytes(self[-half:])!r}"


_positions = st.integers(0, _PARTS)


def _at(content: bytes, position: int) -> int:
    return len(content) * position // _PARTS


def _span(content: bytes, one: int, other: int) -> tuple[int, int]:
    first, last = sorted((_at(content, one), _at(content, other)))
    return first, last


def _cut(one: int, other: int) -> Mutation:
    def change(content: bytes) -> bytes:
        first, last = _span(content, one, other)
        return content[:first] + content[last:]

    return change


def _truncate(position: int) -> Mutation:
    return lambda content: content[: _at(content, position)]


def _repeat(one: int, other: int, times: int) -> Mutation:
    def change(content: bytes) -> bytes:
        first, last = _span(content, one, other)
        part = content[first:last]
        return content[:first] + part * min(times, _LONGEST // max(len(part), 1)) + content[last:]

    return change


def _swap(one: int, other: int, length: int) -> Mutation:
    def change(content: bytes) -> bytes:
        first, last = _span(content, one, other)
        size = min(length, last - first, len(content) - last)
        moved = content[last : last + size], content[first + size : last]
        return b"".join((content[:first], *moved, content[first : first + size],
                         content[last + size :]))  # fmt: skip

    return change


def _overwrite(position: int, new: bytes) -> Mutation:
    def change(content: bytes) -> bytes:
        start = _at(content, position)
        return content[:start] + new + content[start + len(new) :]

    return change


def _insert(position: int, new: bytes) -> Mutation:
    def change(content: bytes) -> bytes:
        start = _at(content, position)
        return content[:start] + new + content[start:]

    return change


def _flip(position: int, bit: int) -> Mutation:
    def change(content: bytes) -> bytes:
        start = min(_at(content, position), len(content) - 1)
        if start < 0:
            return content
        return content[:start] + bytes([content[start] ^ 1 << bit]) + content[start + 1 :]

    return change


def _splice(position: int, other: bytes, from_position: int) -> Mutation:
    def change(content: bytes) -> bytes:
        return content[: _at(content, position)] + other[_at(other, from_position) :]

    return change


def _encode(encoding: str) -> Mutation:
    return lambda content: content.decode(errors="replace").encode(encoding, errors="replace")


def _end_lines(end: bytes) -> Mutation:
    return lambda content: content.replace(b"\n", end)


def _edit_lines(edit: str, one: int, other: int, times: int) -> Mutation:
    def change(content: bytes) -> bytes:
        lines = content.split(b"\n")
        first = (len(lines) - 1) * one // _PARTS
        if edit == "drop":
            del lines[first]
        elif edit == "duplicate":
            count = min(times, _LONGEST // (len(lines[first]) + 1))
            lines[first:first] = [lines[first]] * count
        else:
            lines.insert((len(lines) - 1) * other // _PARTS, lines.pop(first))
        return b"\n".join(lines)

    return change


def _set_value(position: int, new: bytes) -> Mutation:
    def change(content: bytes) -> bytes:
        found = list(_VALUE.finditer(content))
        if not found:
            return content + new
        place = found[(len(found) - 1) * position // _PARTS]
        return content[: place.start()] + new + content[place.end() :]

    return change


def _nest(position: int, depth: int, brackets: tuple[bytes, bytes]) -> Mutation:
    def change(content: bytes) -> bytes:
        found = list(_VALUE.finditer(content))
        opening, closing = brackets
        if not found:
            return opening * depth + content + closing * depth
        place = found[(len(found) - 1) * position // _PARTS]
        inside = content[place.start() : place.end()]
        inside = opening * depth + inside + closing * depth
        return content[: place.start()] + inside + content[place.end() :]

    return change


_times = st.sampled_from((2, 3, 40, 2000, 100_000))
_brackets = st.sampled_from(((b"[", b"]"), (b'{"a":', b"}"), (b'"', b'"'), (b"(", b")")))


def _byte_mutations(examples: Sequence[bytes]) -> list[st.SearchStrategy[Mutation]]:
    return [
        st.builds(_cut, _positions, _positions),
        st.builds(_truncate, _positions),
        st.builds(_repeat, _positions, _positions, _times),
        st.builds(_swap, _positions, _positions, st.integers(1, 64)),
        st.builds(_overwrite, _positions, st.binary(min_size=1, max_size=8)),
        st.builds(_insert, _positions, st.sampled_from(STRANGE) | st.binary(max_size=8)),
        st.builds(_flip, _positions, st.integers(0, 7)),
        st.builds(_splice, _positions, st.sampled_from(examples), _positions),
    ]


_TEXT_MUTATIONS: list[st.SearchStrategy[Mutation]] = [
    st.builds(_set_value, _positions, st.sampled_from(VALUES)),
    st.builds(_set_value, _positions, st.sampled_from(VALUES)),
    st.builds(_nest, _positions, st.sampled_from(_DEPTHS), _brackets),
    st.builds(_encode, st.sampled_from(_ENCODINGS)),
    st.builds(_end_lines, st.sampled_from(_LINE_ENDS)),
    st.builds(
        _edit_lines, st.sampled_from(("drop", "duplicate", "move")), _positions, _positions, _times
    ),
]


def _changed(
    examples: Sequence[bytes], mutations: list[st.SearchStrategy[Mutation]]
) -> st.SearchStrategy[bytes]:
    def apply(content: bytes, changes: list[Mutation]) -> bytes:
        for change in changes:
            content = change(content)[:_LONGEST]
        return Content(content)

    return st.builds(apply, st.sampled_from(examples), st.lists(st.one_of(mutations), max_size=4))


def mutated(examples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the examples with up to four changes of its bytes."""
    return _changed(examples, _byte_mutations(examples))


def mutated_text(examples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """The same, with changes of lines, values, nesting and encoding as well."""
    return _changed(examples, _byte_mutations(examples) + _TEXT_MUTATIONS)


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from((10**400, -1, 2**63, "", "NaN", "\ud800", "\0", "a" * 70000)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON value with each key in it."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key])]


def mutated_json(
    examples: Sequence[bytes], write: Callable[[Any], str] = json.dumps
) -> st.SearchStrategy[bytes]:
    """One of the examples, which are JSON, with other values, or with keys renamed or left out.

    ``write`` is how the value becomes the file's content.
    """

    def apply(example: bytes, changes: list[tuple[int, str, Any]]) -> bytes:
        value = [json.loads(example)]
        for position, kind, new in changes:
            places = _places(value)
            if not places:
                break
            inside, key = places[(len(places) - 1) * position // _PARTS]
            if kind == "set":
                inside[key] = new
            elif kind == "copy":
                other, other_key = places[(len(places) - 1) * (_PARTS - position) // _PARTS]
                inside[key] = json.loads(json.dumps(other[other_key]))
            elif len(places) > 1 and inside is not value:
                taken = inside.pop(key)
                if kind == "rename" and isinstance(inside, dict):
                    inside[str(new)] = taken
        return Content(write(value[0]).encode(errors="surrogatepass"))

    change = st.tuples(_positions, st.sampled_from(("set", "set", "copy", "drop", "rename")),
                       _json_values)  # fmt: skip
    return st.builds(apply, st.sampled_from(examples), st.lists(change, min_size=1, max_size=3))


def json_lines(value: Any) -> str:
    """A list as JSON lines; another value as one line."""
    return "".join(
        json.dumps(each) + "\n" for each in (value if isinstance(value, list) else [value])
    )
