"""Declare a setting as a dataclass field with its default, help and range, and check its value.

Here are also the flags that commands of several kinds share.
"""

import contextlib
import dataclasses
import difflib
import math
import operator
import types
import typing
from collections.abc import Iterable
from functools import partial
from typing import Any

from selfsup.atomic_files import WRITTEN, refuse_address
from selfsup.errors import UserError

# Flags that every command takes beside its settings.
COMMON_FLAGS = {
    "--config FILE": "read settings from this YAML file; flags override them",
    "--print-config": "print the settings as YAML that --config reads, and do nothing else",
    "--json": "print one JSON object to standard output instead of the summary",
    "--help": "print this page",
}


def argument(about: str, *, metavar: str, default: Any = dataclasses.MISSING) -> Any:
    """A positional argument of the command line: `selfsup pretrain DATA...`."""
    return dataclasses.field(
        default=default, metadata={"help": about, "metavar": metavar, "positional": True}
    )


def flag(
    about: str,
    *,
    group: str,
    default: Any = None,
    required: bool = False,
    metavar: str | None = None,
    choices: Iterable[str] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A flag: the field `max_length` is `--max-length`, and `max_length:` in YAML.

    about: its help.
    group: its heading in the command's help.
    required: it has no default.
    metavar: the name of its value in the help; by default the choices, or X.
    choices: the allowed values (of each element, if the field is a tuple).
    at_least, at_most, above, below: the range of a number; None is always allowed.
    """
    return dataclasses.field(
        default=dataclasses.MISSING if required else default,
        metadata={
            "help": about,
            "group": group,
            "metavar": metavar,
            "choices": tuple(choices) if choices is not None else None,
            "at_least": at_least,
            "at_most": at_most,
            "above": above,
            "below": below,
        },
    )


# Flags under one heading of the help.
data_flag = partial(flag, group="Data")
model_flag = partial(flag, group="Model")
objective_flag = partial(flag, group="Objective")
optimisation_flag = partial(flag, group="Optimisation")
run_flag = partial(flag, group="Run")

# Flags of the machine.
device = partial(
    run_flag,
    "device to compute on; auto means a GPU if there is one",
    default="auto",
    choices=("auto", "cpu", "cuda", "mps"),
)
precision = partial(
    run_flag,
    "number format of matrix products; auto means bf16 if the hardware supports it",
    default="auto",
    choices=("auto", "bf16", "float32"),
)
threads = partial(run_flag, "CPU threads; by default all cores", metavar="N", at_least=1)
workers = partial(
    run_flag,
    "processes that prepare text or decode images; by default one for each core, at most 16",
    metavar="N",
    at_least=1,
)

# Flags of training.
seed = partial(
    run_flag,
    "random seed: the same seed gives the same run",
    default=0,
    metavar="S",
    at_least=0,
    at_most=2**63 - 1,
)
mirror = partial(
    flag,
    "mirror half of the training images; switch it off for digits and images of text",
    default=True,
)
warmup = partial(
    optimisation_flag, "share of the run for warmup of the learning rate", at_least=0, below=1
)
gradient_clip = partial(
    optimisation_flag,
    "largest 2-norm of the gradient; a longer one is scaled down",
    default=1.0,
    metavar="X",
    above=0,
)


def flag_name(field: dataclasses.Field) -> str:
    """The field's name for the user: `--max-length`, or `DATA` if it is positional."""
    if field.metadata.get("positional"):
        return field.metadata["metavar"]
    return "--" + field.name.replace("_", "-")


def inner_type(hint: Any) -> Any:
    """int of `int | None`, and any other type as it is."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def holds_many(hint: Any) -> bool:
    """Whether a field of this type takes several values."""
    return typing.get_origin(inner_type(hint)) is tuple


def is_optional(hint: Any) -> bool:
    """Whether a field of this type may be None."""
    return type(None) in typing.get_args(hint)


def convert(field: dataclasses.Field, hint: Any, value: Any) -> Any:
    """A value of YAML, or the text of a command line, as the field's type (not for None).

    hint: that type.
    value: a list where the field takes several.

    Raises:
        UserError: names the flag, what it takes and what was given.
    """
    if holds_many(hint):
        return tuple(_convert_one(field, str, entry) for entry in value)
    return _convert_one(field, inner_type(hint), value)


def _convert_one(field: dataclasses.Field, kind: type, value: Any) -> Any:
    if type(value) is kind:
        return value
    if (kind in (int, float) and isinstance(value, str)) or (kind is float and type(value) is int):
        with contextlib.suppress(ValueError, OverflowError):
            return kind(value)
    takes = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[kind]
    fix = ": write it in quotes" if kind is str else ""
    raise UserError(f"{flag_name(field)} takes {takes}, not {value}{fix}")


# Settings that name local files and folders, and what to say of an address.
LOCAL_FILE = "this file is read from a local folder only: copy it to one"
_LOCAL_FOLDER = "models, tokenizers and runs are read from local folders only: copy it to one"
_LOCAL = {
    **dict.fromkeys(("out", "predictions"), WRITTEN),
    **dict.fromkeys(("encoder", "init", "tokenizer", "model", "run", "runs"), _LOCAL_FOLDER),
    **dict.fromkeys(("predictions_file", "context_file", "class_weights"), LOCAL_FILE),
}


def check_values(settings: Any) -> None:
    """Check every field of a settings dataclass against its range and its choices.

    An address, such as ``s3://bucket/run``, is refused where a local path is needed.

    Raises:
        UserError: names the flag, what is allowed and what was given.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value == () and field.metadata.get("positional"):
            raise UserError(f"{flag_name(field)} is missing: name one at least")
        if field.name in _LOCAL and value is not None:
            for name in value if isinstance(value, tuple) else (value,):
                refuse_address(str(name), _LOCAL[field.name], flag_name(field))
        if isinstance(value, str) and field.metadata.get("metavar") in ("TEXT", "QUESTION"):
            _check_encodable(field, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_range(field, value)
        if field.metadata.get("choices"):
            for choice in value if isinstance(value, tuple) else (value,):
                _check_choice(field, choice)


def closest(word: str, known: Iterable[str]) -> str:
    """`: did you mean X?` if one of the known words is similar, else an empty text."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f": did you mean {matches[0]}?" if matches else ""


_BOUNDS = {
    "at least": operator.ge, "above": operator.gt, "at most": operator.le, "below": operator.lt,
}  # fmt: skip
_LARGEST_INT = 2**63 - 1  # of the libraries that compute with it


def _check_range(field: dataclasses.Field, value: float) -> None:
    bounds = {word: field.metadata.get(word.replace(" ", "_")) for word in _BOUNDS}
    bounds = {word: bound for word, bound in bounds.items() if bound is not None}
    if isinstance(value, int) and abs(value) > _LARGEST_INT:  # may also be no float
        bounds.setdefault("at most", _LARGEST_INT)
    elif math.isfinite(value) and all(_BOUNDS[word](value, bounds[word]) for word in bounds):
        return
    if "at least" in bounds and "at most" in bounds:
        allowed = f"between {bounds['at least']:,} and {bounds['at most']:,}"
    else:
        named = [f"{word} {bound:,}" for word, bound in bounds.items()]
        allowed = " and ".join(named) or "a finite number"
    raise UserError(f"{flag_name(field)} must be {allowed}, not {value}")


def _check_encodable(field: dataclasses.Field, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode(errors="backslashreplace").decode()
        raise UserError(f"{flag_name(field)} {shown}: is not UTF-8: write it so") from None


def _check_choice(field: dataclasses.Field, value: object) -> None:
    choices = field.metadata["choices"]
    if value is None or value in choices:
        return
    allowed = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    raise UserError(
        f"{flag_name(field)} must be {allowed}, not {value!r}{closest(str(value), choices)}"
    )
