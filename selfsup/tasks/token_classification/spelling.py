"""Tags in other spellings than ``B-PER`` and ``O``, which all the tags of a file together tell."""

import re
import unicodedata
from collections.abc import Iterable

# The usual style comes first. "B-PER_I" begins with its prefix.
_STYLES = tuple(
    re.compile(form.format(f"(?P<prefix>[{letters}])", separator, "(?P<kind>.+)"))
    for form in ("{0}{1}{2}", "{2}{1}{0}")
    for letters in ("BIESLUM", "bieslum")
    for separator in "-_"
)
_OUTSIDE = {"o", "0"}
_NOTHING = {"-", "_"}  # outside of entities too, if no tag is O


def may_be_tag(text: str) -> bool:
    """Whether a text may stand for ``O``, or be a type with a prefix, in some spelling."""
    return text in {"O", *_OUTSIDE, *_NOTHING} or is_with_prefix(text)


def is_with_prefix(text: str) -> bool:
    """Whether a text may be a type with a prefix, in some spelling."""
    return any(style.fullmatch(text) for style in _STYLES)


def usual_tags(tags: Iterable[str]) -> dict[str, str]:
    """Each tag of a file or of a model, and its usual spelling; accents are composed.

    ``b-per``, ``B_PER`` and ``PER-B`` become ``B-PER`` where all tags are written so. A mixture of
    spellings stays as it is.
    """
    usual = {tag: unicodedata.normalize("NFC", tag) for tag in tags}
    names = set(usual.values())
    inside = names - {"O"} - _OUTSIDE - (set() if "O" in names else _NOTHING)
    style = next((style for style in _STYLES if inside and all(map(style.fullmatch, inside))), None)
    if style is None and all(name.isdecimal() for name in inside):
        return usual
    in_capitals = style is not None and all(name == name.lower() for name in inside)
    for tag, name in usual.items():
        if style is not None and (found := style.fullmatch(name)) and name in inside:
            kind = found["kind"].upper() if in_capitals else found["kind"]
            usual[tag] = f"{found['prefix'].upper()}-{kind}"
        elif name in _OUTSIDE or (style is not None and name not in inside):
            usual[tag] = "O"
    return usual
