"""Clean a document's text, guess its language and split it into sentences."""

import re
import unicodedata

import sentencex

# Removed from texts: control, format, surrogate and private-use characters.
_CONTROL_CATEGORIES = ("Cc", "Cf", "Cs", "Co")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u05ff\u3041-\ud7a3]")

# The language is guessed from this many characters; a script must make up this fraction of them.
_SAMPLE_CHARACTERS = 2000
_MINIMUM_SHARE = 0.2

# Kana before Han: Japanese has both, Chinese only Han. Likewise Hangul comes before Han (Hanja).
_SCRIPTS = tuple(
    (language, re.compile(f"[{characters}]"))
    for language, characters in (
        ("ko", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"),
        ("ja", "\u3041-\u30ff"),
        ("zh", "\u3400-\u4dbf\u4e00-\u9fff"),
        ("ru", "\u0400-\u04ff"),
        ("el", "\u0370-\u03ff"),
        ("ar", "\u0600-\u06ff"),
        ("he", "\u0590-\u05ff"),
        ("hi", "\u0900-\u097f"),
        ("bn", "\u0980-\u09ff"),
        ("ta", "\u0b80-\u0bff"),
        ("th", "\u0e00-\u0e7f"),
        ("hy", "\u0530-\u058f"),
        ("ka", "\u10a0-\u10ff"),
        ("my", "\u1000-\u109f"),
        ("am", "\u1200-\u137f"),
    )
)
_LETTER = re.compile(r"[^\W\d_]")

# Where sentencex ends a sentence too early: the sentence continues after a quotation with a
# particle attached to it. 그는 "간다."라고 말했다. 「はい。」と言った。 “好。”他说。
_ENDS_IN_QUOTE = ('"', "'", "”", "’", "」", "』")
_CJK_LETTER = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
# 그게 뭐야?라고 물었다: the same without quotation marks.
_QUOTING_PARTICLE = re.compile(r"이?라(?:고|는|며|면서|던)(?!\w)")
# 『홍길동전.』: a closing mark belongs to the sentence before it.
_CLOSING_MARKS = ("」", "』", "”", "’", "》", "〉", "】", ")", "）", "]")
# 2015. 3. 4. 서울에서 열렸다: in Korean a number with a full stop is part of a date or a list.
_LONGEST_NUMBER = 64  # only the end of a sentence is searched, as joined sentences can grow long
_ENDS_IN_NUMBER = re.compile(r"(?:^|[\s~(])(?:\d+\.)+\s*$")

# In Chinese and Japanese, sentencex takes time quadratic in the length. So it gets parts that end,
# if possible, where a sentence does: after a full stop outside a quotation.
_PART = re.compile(
    r".{4000,}?[。！？](?![。！？」』”’）]|[^「『“（]{0,200}[」』”）])\s*|.+", re.DOTALL
)


def clean_paragraphs(text: str) -> list[str]:
    """Split a document into its cleaned, non-empty paragraphs.

    Every line break ends a paragraph: all that ``str.splitlines`` knows, such as form feed, U+0085,
    U+2028 and U+2029. Within a paragraph every other kind of space, such as a tab, becomes a plain
    space. What BERT's normaliser drops is dropped here too, so that texts that differ only there
    count as the same: control and format characters (categories Cc, Cf, Cs, Co, which include byte
    order marks, soft hyphens and zero-width joiners) and U+FFFD.
    """
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    paragraphs = []
    for line in text.splitlines():
        paragraph = line
        # Most lines are printable: no space but U+0020, no control character.
        if not line.isprintable() or "\ufffd" in line:
            paragraph = _UNPRINTABLE.sub(_replacement, line).replace("\ufffd", "")
            # The neighbours of a removed character may now combine into one letter.
            paragraph = unicodedata.normalize("NFC", paragraph)
        paragraph = paragraph.strip()
        if paragraph:
            paragraphs.append(paragraph)
    return paragraphs


def _replacement(match: re.Match[str]) -> str:
    character = match.group()
    if character.isspace():
        return " "
    # Unassigned code points stay: they may be letters in a newer Unicode than this Python's.
    return "" if unicodedata.category(character) in _CONTROL_CATEGORIES else character


def guess_language(text: str) -> str:
    """The ISO 639-1 code that a document's script suggests; ``"en"`` for Latin letters.

    Languages that share a script cannot be told apart.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    if sample.isascii():
        return "en"
    letters = len(_LETTER.findall(sample))
    for language, script in _SCRIPTS:
        if len(script.findall(sample)) > _MINIMUM_SHARE * letters:
            return language
    return "en"


def split_sentences(paragraph: str, language: str) -> list[str]:
    """Split one paragraph; the sentences, concatenated, are the paragraph.

    Args:
        paragraph: text without line breaks.
        language: ISO 639-1 code; sentencex falls back on a related language, then on English.
    """
    parts = _PART.findall(paragraph) if language in ("ja", "zh") else [paragraph]
    sentences: list[str] = []
    for part in parts:
        sentences += sentencex.segment(language, part)  # type: ignore[attr-defined]
    if language not in ("ko", "ja", "zh"):
        return sentences
    # In these languages sentencex also ends sentences that go on.
    merged = sentences[:1]
    for sentence in sentences[1:]:
        if _continues(merged[-1], sentence, language):
            merged[-1] += sentence
        else:
            merged.append(sentence)
    return merged


def _continues(before: str, after: str, language: str) -> bool:
    if before.endswith(_ENDS_IN_QUOTE) and _CJK_LETTER.match(after):
        return True
    if after.startswith(_CLOSING_MARKS):
        return True
    if language != "ko":
        return False
    return bool(
        _ENDS_IN_NUMBER.search(before[-_LONGEST_NUMBER:])
        or (not before[-1].isspace() and _QUOTING_PARTICLE.match(after))
    )
