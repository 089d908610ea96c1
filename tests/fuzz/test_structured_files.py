"""Damaged and hostile JSON and YAML: every reader returns or refuses in one line.

Real files of small runs are mutated, as bytes and as values, and read by the commands that read
them. ``SELFSUP_FUZZ_INPUTS`` is the number of inputs of each kind of file.
"""

import json
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfsup.doctor import doctor
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.images.files import find_images
from selfsup.images.pixels import ResizeShorterSide
from selfsup.images.prepare import prepare_images
from selfsup.inference.evaluate import score_answers
from selfsup.inference.predict import check_writable
from selfsup.inference.predictor import Predictor
from selfsup.pretraining.images.model import load_image_pretraining
from selfsup.pretraining.run import pretrain, resume
from selfsup.pretraining.text.data import read_extension_report
from selfsup.pretraining.text.model import load_pretraining
from selfsup.report.page import write_report
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.settings.showing import DoctorSettings
from selfsup.tasks.question_answering.files import read_squad
from selfsup.training import checkpoint as checkpoints

INPUTS = int(os.environ.get("SELFSUP_FUZZ_INPUTS", 25))
MOST_SECONDS, MOST_MEMORY = 20.0, 1 << 30

HOSTILE = (
    -1, 0, 1, 2**31, 2**53, -(2**63), 10**18, 10**400, 1.5, 1e300, 1e-300, float("nan"),
    float("inf"), "", "1", "x" * 3000, "\ud800", "../../x", True, None, [], {}, [[]], [None],
    {"": None}, [1, "a"], {"a": {"b": [1]}},
)  # fmt: skip
HOSTILE_TEXTS = (
    b"", b" ", b"null", b"[]", b"{}", b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\\ud800"', b"{" * 9,
    b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"-", b'{"a": 1, "a": 2}', b"\0" * 100,
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: *c\n", b"? [a]\n: b\n", b"a: !!set {b}\n",
    b"a: !!binary eA==\n", b"a: 0x" + b"f" * 5000, b"a: !!int ''", b"a: 1:99:99\n", b"&a [*a]",
    b"a: " + b"[" * 2000, b"- " * 3000,
)  # fmt: skip
NAMES = ("", "a", "step", "loss", "labels", "mean", "__class__")


class Target(NamedTuple):
    """A file of a folder, and what reads it.

    Attributes:
        folder: is copied before it is damaged.
        file: a path in it.
        read: takes the copy.
        lines: each line is a JSON value.
    """

    folder: Path
    file: str
    read: Callable[[Path], Any]
    lines: bool = False


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """The paths of all values in a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list
    ) else ()  # fmt: skip
    return [at, *(place for key, child in children for place in places(child, (*at, key)))]


def put(value: Any, place: tuple, change: Callable[[Any, Any], None]) -> Any:
    """A copy of a value; ``change`` takes what holds the place, and the last key."""
    whole = {"": deepcopy(value)}
    holder, path = whole, ("", *place)
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return whole.get("")


@st.composite
def mutated_values(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(value)))
        kind = draw(st.sampled_from(("replace", "replace", "drop", "nest", "double", "add", "swap")))

        def change(holder: Any, key: Any, kind: str = kind) -> None:
            old = holder[key]
            if kind == "drop":
                del holder[key]
            elif kind == "nest":
                for _ in range(draw(st.sampled_from((1, 90, 600)))):
                    old = [old] if draw(st.booleans()) else {"a": old}
                    holder[key] = old
            elif kind == "double" and isinstance(old, list):
                holder[key] = old * 2
            elif kind == "add" and isinstance(old, dict):
                old[draw(st.sampled_from(NAMES))] = draw(st.sampled_from(HOSTILE))
            elif kind == "swap" and isinstance(holder, dict):
                other = draw(st.sampled_from(list(holder)))
                holder[key], holder[other] = holder[other], holder[key]
            else:
                holder[key] = draw(st.sampled_from(HOSTILE))

        value = put(value, place, change)
    return value


@st.composite
def mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    kind = draw(st.sampled_from(("cut", "overwrite", "insert", "whole", "repeat")))
    if kind == "whole":
        return draw(st.sampled_from(HOSTILE_TEXTS))
    start = draw(st.integers(0, len(data)))
    if kind == "cut":
        return data[:start]
    if kind == "repeat":
        return data[:start] + data[start : start + 40] * draw(st.integers(2, 50)) + data[start:]
    part = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(HOSTILE_TEXTS)))
    return data[:start] + part + data[start + (len(part) if kind == "overwrite" else 0) :]


@st.composite
def mutations(draw: st.DrawFn, data: bytes, file: str, lines: bool) -> bytes | None:
    """The bytes of a damaged file; None: a folder stands in its place."""
    if draw(st.integers(0, 30)) == 0:
        return None
    if draw(st.integers(0, 2)) == 0:
        return draw(mutated_bytes(data))
    if file.endswith(".yaml"):
        value = draw(mutated_values(yaml.safe_load(data)))
        try:
            return yaml.safe_dump(value).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, RecursionError):
            return b"[" * 600
    if not lines:
        return json.dumps(draw(mutated_values(json.loads(data)))).encode()
    entries = data.splitlines()
    number = draw(st.integers(0, len(entries) - 1))
    entries[number] = json.dumps(draw(mutated_values(json.loads(entries[number])))).encode()
    return b"\n".join(entries) + b"\n"


def _memory() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10  # type: ignore[index]
