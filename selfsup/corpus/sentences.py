"""Split paragraphs into sentences, and guess a document's language for that purpose."""

import re

import sentencex

# How much of a document is looked at, and how much of it a script must make up, to decide.
_SAMPLE_CHARACTERS = 2000
_MINIMUM_SHARE = 0.2

# Kana before Han: Japanese has both, Chinese only the latter. Likewise Hangul with Hanja.
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

# Where sentencex ends a sentence too early. A quotation with a particle stuck to it goes on:
# 그는 "간다."라고 말했다. 「はい。」と言った。 “好。”他说。
_ENDS_IN_QUOTE = ('"', "'", "”", "’", "」", "』")
_CJK_LETTER = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
# 그게 뭐야?라고 물었다: the same without quotation marks.
_QUOTING_PARTICLE = re.compile(r"이?라(?:고|는|며|면서|던)(?!\w)")
# 『홍길동전.』: the mark that closes belongs to what it closes.
_CLOSING_MARKS = ("」", "』", "”", "’", "》", "〉", "】", ")", "）", "]")
# 2015. 3. 4. 서울에서 열렸다: in Korean a number with a full stop is a date's or a list's.
_LONGEST_NUMBER = 64  # what is joined can grow long, and need not be searched each time
_ENDS_IN_NUMBER = re.compile(r"(?:^|[\s~(])(?:\d+\.)+\s*$")

# sentencex takes time with the square of the length in Chinese and Japanese, so it gets parts that
# end, if they can, where a sentence does: after a mark within no quotation.
_PART = re.compile(
    r".{4000,}?[。！？](?![。！？」』”’）]|[^「『“（]{0,200}[」』”）])\s*|.+", re.DOTALL
)


def guess_language(text: str) -> str:
    """The ISO 639-1 code that a document's script suggests; ``"en"`` for Latin letters.

    Languages that share a script cannot be told apart: name them instead of guessing.
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
    """Split one paragraph; the sentences, joined, are the paragraph.

    Args:
        paragraph: text without line breaks.
        language: ISO 639-1 code; sentencex falls back on a related language, then on English.
    """
    parts = _PART.findall(paragraph) if language in ("ja", "zh") else [paragraph]
    sentences: list[str] = []
    for part in parts:
        sentences += sentencex.segment(language, part)  # type: ignore[attr-defined]
    if language in ("ko", "ja", "zh") and len(sentences) > 1:
        return _mend(sentences, language)
    return sentences


def _mend(sentences: list[str], language: str) -> list[str]:
    """Join what sentencex splits wrongly in Korean, Japanese and Chinese."""
    mended = sentences[:1]
    for sentence in sentences[1:]:
        if _goes_on(mended[-1], sentence, language):
            mended[-1] += sentence
        else:
            mended.append(sentence)
    return mended


def _goes_on(before: str, after: str, language: str) -> bool:
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
