"""Clean text: Unicode NFC, no control characters, one paragraph a line."""

import re
import unicodedata

_CONTROL_CATEGORIES = ("Cc", "Cf", "Cs", "Co")


def clean_paragraphs(text: str) -> list[str]:
    """Split a document into its cleaned, non-empty paragraphs.

    Every line break is a paragraph's end, whichever character makes it (``str.splitlines``: also
    form feed, U+0085, U+2028, U+2029). Within a paragraph every other kind of space, tabs too,
    becomes a plain space. What BERT's own normaliser drops is dropped here, so that two texts that
    differ only there count as the same: control and format characters (categories Cc, Cf, Cs, Co:
    also byte order marks, soft hyphens, zero-width joiners) and U+FFFD.
    """
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    paragraphs = []
    for line in text.splitlines():
        paragraph = line
        # A printable string holds no space but U+0020 and no control character: most lines.
        if not line.isprintable() or "\ufffd" in line:
            paragraph = _UNPRINTABLE.sub(_replacement, line).replace("\ufffd", "")
            # What a removed character stood between may be one letter now.
            paragraph = unicodedata.normalize("NFC", paragraph)
        paragraph = paragraph.strip()
        if paragraph:
            paragraphs.append(paragraph)
    return paragraphs


def _replacement(match: re.Match[str]) -> str:
    character = match.group()
    if character.isspace():
        return " "
    # Unassigned code points stay: they may be letters of a Unicode newer than this Python's.
    return "" if unicodedata.category(character) in _CONTROL_CATEGORIES else character


_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u05ff\u3041-\ud7a3]")
