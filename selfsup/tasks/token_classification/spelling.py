"""Tags in other spellings than ``B-PER`` and ``O``, which all the tags of a file together tell."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from selfsup.tasks.notes import listed
from selfsup.tasks.token_classification.tag_scheme import TaggedText

# The usual style comes first: its tags stay as they are. "B-PER_I" is in a style with a prefix.
_STYLES = tuple(
    re.compile(form.format(f"(?P<prefix>[{letters}])", separator, "(?P<kind>.+)"))
    for form in ("{0}{1}{2}", "{2}{1}{0}")
    for letters in ("BIESLUM", "bieslum")
    for separator in "-_"
)
_ALONE = re.compile("(?P<prefix>[bieslum])(?P<kind>)")
_OUTSIDE = {"o", "0"}
_NOTHING = {"-", "_"}  # outside of entities, if no tag is O


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
    inside = names - {"O"} - _OUTSIDE - ({"-", "_"} if "O" not in names else set())
    style = _style(inside)
    if style is None and not any(re.search(r"[^\W\d_]", name) for name in inside):
        return usual  # numbers
    in_capitals = style is not None and all(name == name.lower() for name in inside)
    for tag, name in usual.items():
        if style is not None and name in inside:
            found = style.fullmatch(name)
            assert found is not None
            kind = found["kind"].upper() if in_capitals else found["kind"]
            usual[tag] = "-".join(filter(None, (found["prefix"].upper(), kind)))
        elif name in _OUTSIDE or (style is not None and name not in inside):
            usual[tag] = "O"
    return usual


def _style(inside: set[str]) -> re.Pattern[str] | None:
    """The style that all tags of entities are in, if there is one."""
    if inside & {"b", "i"} and all(map(_ALONE.fullmatch, inside)):
        return _ALONE
    return next((style for style in _STYLES if inside and all(map(style.fullmatch, inside))), None)


def with_usual_tags(
    source: str, sentences: Sequence[TaggedText]
) -> tuple[list[TaggedText], list[str]]:
    """The sentences of a file with their tags in the usual spelling, and notes for the user."""
    usual = usual_tags({tag for sentence in sentences for tag in sentence.tags or ()})
    notes = []
    changed = sorted(
        f"{tag} as {name}"
        for tag, name in usual.items()
        if unicodedata.normalize("NFC", tag) != name
    )
    if changed:
        notes.append(f"{source}: tags in another spelling are read in the usual one: "
                     f"{listed(changed)}")  # fmt: skip
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in usual.values():
        if _STYLES[0].fullmatch(name):
            spellings[name[2:].casefold()].add(name[2:])
    if alike := [sorted(kinds) for kinds in spellings.values() if len(kinds) > 1]:
        shown = listed(" and ".join(kinds) for kinds in alike)
        notes.append(f"{source}: types that differ only in case are different types: {shown}")
    if all(tag == name for tag, name in usual.items()):
        return list(sentences), notes
    return [
        replace(sentence, tags=[usual[tag] for tag in sentence.tags or ()])
        for sentence in sentences
    ], notes
