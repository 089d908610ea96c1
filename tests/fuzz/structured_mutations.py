"""Damaged and hostile copies of JSON and YAML files, for tests with hypothesis."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import strategies as st

_HOSTILE = (
    -1, 0, 1, 2**31, 2**53, -(2**63), 10**18, 10**400, 1.5, 1e300, 1e-300, float("nan"),
    float("inf"), "", "1", "x" * 3000, "\ud800", "../../x", True, None, [], {}, [[]], [None],
    {"": None}, [1, "a"], {"a": {"b": [1]}},
)  # fmt: skip
_BILLION_LAUGHS = b"data: &l0 [x, x]\n" + b"".join(
    b"l%d: &l%d [%s]\n" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 9)) for n in range(1, 20)
)
_HOSTILE_TEXTS = (
    b"", b" ", b"null", b"[]", b"{}", b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\\ud800"', b"{",
    b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"-", b'{"a": 1, "a": 2}', b"\0" * 100,
    _BILLION_LAUGHS, b"? [a]\n: b\n", b"a: !!set {b}\n",
    b"a: !!binary eA==\n", b"a: 0x" + b"f" * 5000, b"a: !!int ''", b"a: 1:99:99\n", b"&a [*a]",
    b"a: " + b"[" * 2000, b"- " * 3000,
)  # fmt: skip
_NAMES = ("", "a", "step", "loss", "labels", "mean", "__class__")


def _places(value: Any, at: tuple = ()) -> list[tuple]:
    """The paths of all values in a value."""
    children = enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict):
        children = value.items()
    return [at, *(place for key, child in children for place in _places(child, (*at, key)))]


def _put(value: Any, place: tuple, change: Callable[[Any, Any], None]) -> Any:
    """A copy of a value; ``change`` takes what holds the place, and the last key."""
    whole = {"": deepcopy(value)}
    holder, path = whole, ("", *place)
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return whole.get("")


@st.composite
def _mutated_values(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(value)))
        kind = draw(
            st.sampled_from(("replace", "replace", "drop", "nest", "double", "add", "swap"))
        )

        def change(holder: Any, key: Any, kind: str = kind) -> None:
            old = holder[key]
            if kind == "drop":
                del holder[key]
            elif kind == "nest":
                for _ in range(draw(st.sampled_from((1, 90, 200)))):
                    old = [old] if draw(st.booleans()) else {"a": old}
                    holder[key] = old
            elif kind == "double" and isinstance(old, list):
                holder[key] = old * 2
            elif kind == "add" and isinstance(old, dict):
                old[draw(st.sampled_from(_NAMES))] = draw(st.sampled_from(_HOSTILE))
            elif kind == "swap" and isinstance(holder, dict):
                other = draw(st.sampled_from(list(holder)))
                holder[key], holder[other] = holder[other], holder[key]
            else:
                holder[key] = draw(st.sampled_from(_HOSTILE))

        value = _put(value, place, change)
    return value


@st.composite
def _mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    kind = draw(st.sampled_from(("cut", "overwrite", "insert", "whole", "repeat")))
    if kind == "whole":
        return draw(st.sampled_from(_HOSTILE_TEXTS))
    start = draw(st.integers(0, len(data)))
    if kind == "cut":
        return data[:start]
    if kind == "repeat":
        return data[:start] + data[start : start + 40] * draw(st.integers(2, 50)) + data[start:]
    part = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(_HOSTILE_TEXTS)))
    return data[:start] + part + data[start + (len(part) if kind == "overwrite" else 0) :]


@st.composite
def mutations(draw: st.DrawFn, data: bytes, file: str, lines: bool) -> bytes | None:
    """The bytes of a damaged file; None: a folder stands in its place."""
    if draw(st.integers(0, 30)) == 0:
        return None
    if draw(st.integers(0, 2)) == 0:
        return draw(_mutated_bytes(data))
    if file.endswith(".yaml"):
        value = draw(_mutated_values(yaml.safe_load(data)))
        try:
            return yaml.safe_dump(value).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, RecursionError):
            return b"[" * 600
    if not lines:
        return json.dumps(draw(_mutated_values(json.loads(data)))).encode()
    entries = data.splitlines()
    number = draw(st.integers(0, len(entries) - 1))
    entries[number] = json.dumps(draw(_mutated_values(json.loads(entries[number])))).encode()
    return b"\n".join(entries) + b"\n"
