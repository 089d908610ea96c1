"""Read JSON that may be damaged, or made to do harm: its size, depth and types are checked.

A type says what a file holds: a ``TypedDict``, a dataclass, ``dict[str, float]`` and so on, as
``msgspec`` checks them. It stands beside the code that uses the values.
"""

import codecs
import json
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from selfsup.errors import UserError
from selfsup.special_files import refuse_special

# A number of things, such as bytes or tokens.
Count = Annotated[int, Meta(ge=0, le=2**53)]
WholeNumber = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

LARGEST = 1 << 26  # bytes; as Python's objects they take some gigabytes at most
DEEPEST = 100  # lists and objects in each other
_LONGEST_SHOWN = 60  # characters
_COPY = "copy or make it again"
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a JSON object",
    "null": "null",
}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


def parse_json(data: bytes | str, largest: int = LARGEST) -> Any:
    """The value of a JSON text; also with NaN, as Python writes it.

    Raises:
        ValueError: it is no JSON, not in UTF-8, too large or nested too deeply.
    """
    data = data.encode() if isinstance(data, str) else data
    if len(data) > largest:
        raise ValueError(f"{len(data):,} bytes are too many")
    try:
        value = json.loads(data.removeprefix(codecs.BOM_UTF8).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # Most texts have fewer brackets than may be nested.
    if data.count(b"[") + data.count(b"{") > DEEPEST and is_deeper(value, DEEPEST):
        raise ValueError("nested too deeply")
    return value


def is_deeper(value: Any, depth: int) -> bool:
    """Whether more than so many lists and dictionaries are nested."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def decode_json(data: bytes, kind: Any, where: object, fix: str = _COPY) -> Any:
    """The value of a JSON text, of a certain type.

    Args:
        data: the text.
        kind: the type; see ``check``.
        where: what holds the text, such as its path, for the message.
        fix: what the user does about a damaged text.

    Raises:
        UserError: it is no JSON, or holds something else; the message names the field.
    """
    try:
        value = parse_json(data)
        if _LONE_SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        reason = "a text holds half a character (a lone surrogate)"
    except ValueError as error:
        reason = str(error)
    else:
        return check(value, kind, where, fix)
    raise UserError(f"{where}: cannot be read as JSON ({reason}): {fix}")


def read_json(path: Path, kind: Any, fix: str = _COPY) -> Any:
    """What a JSON file holds; the arguments are those of ``decode_json``.

    Raises:
        UserError: it cannot be read, is no file, or as ``decode_json``.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): {fix}") from None
    return decode_json(data, kind, path, fix)


def check(value: Any, kind: Any, where: object, fix: str = _COPY) -> Any:
    """A value that has been read, if it is of a type.

    Args:
        value: of lists, dictionaries, texts, numbers and so on.
        kind: its type. An object of a dataclass is built; a dictionary stays as it is, also with
            keys that a ``TypedDict`` does not name.
        where: what holds the value, for the message.
        fix: what the user does if it does not fit.

    Raises:
        UserError: it is not of this type; the message names the field.
    """
    try:
        built = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {_in_words(str(error), value)}: {fix}") from None
    except UserError as error:  # of a dataclass that checks its values
        raise UserError(f"{where}: {error}") from None
    return value if isinstance(built, dict | list) else built


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type; see ``check``."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def shown(value: Any) -> str:
    """A value in a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _in_words(message: str, value: Any) -> str:
    """A message of msgspec, such as "Expected `int`, got `str` - at `$.steps`", in plain words."""
    message, _, path = message.partition(" - at `")
    path = path.rstrip("`")
    field = path.removeprefix("$").removeprefix(".").replace("[...]", " (one of its values)")
    field = field.strip() or "it"
    if found := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"{found[1]} is missing" + (f" in {field}" if path else "")
    found = re.match(r"Expected `(.+?)`( of length)?(?: (>=|<=|<|>) (\S+))?", message)
    if found is None or path.startswith("key"):
        return f"{field}: {message}" if path else message
    kinds, is_length, bound, limit = found.groups()
    if bound:
        wanted = f"{'have a length of' if is_length else 'be'} {_BOUNDS[bound]} {limit}"
    else:
        wanted = "be " + " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
    try:
        return f"{field} must {wanted}, not {shown(_at(path, value))}"
    except (LookupError, TypeError, ValueError):
        return f"{field} must {wanted}"


def _at(path: str, value: Any) -> Any:
    """What stands at a path such as ``$.sizes[2]``; an error if it names no place.

    It has dots in place of a dictionary's keys that the type does not name.
    """
    for name, number in re.findall(r"\.(\w+)|\[([0-9]+|\.\.\.)\]", path):
        value = value[name] if name else value[int(number)]
    return value
