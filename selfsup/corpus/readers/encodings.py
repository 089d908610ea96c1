"""Read text as UTF-8, and find the likely encoding of text that is not.

Nothing is converted unless the user names the encoding, since a wrong one turns words into other
letters without an error. So likely encodings are only named, with what the text reads as.
"""

import codecs
import io
import logging
import re
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, NamedTuple, cast

from selfsup.corpus.readers import compression
from selfsup.errors import UserError

_SAMPLE_BYTES = 1 << 16
_COMPARED_BYTES = 1 << 12  # from the first byte beyond ASCII on, in every encoding
_SHOWN_CHARACTERS = 20
# Fewer undecodable parts than this, not at the start of a file, are damage: bad records.
_FEWEST_UNDECODABLE, _START_BYTES = 3, 1000
# An encoding must fit this well to be named. Those that fit almost as well are named beside it.
_LEAST_FIT, _CLOSE = 0.65, 0.06

# Supersets that are what files in these encodings are in fact written in, as in browsers.
_SUPERSETS = {"euc_kr": "cp949", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030"}

_log = logging.getLogger(__name__)


class _Language(NamedTuple):
    """A language, its encodings (the usual one first), and its characters outside ASCII.

    For an alphabet these are the small letters and marks, the most frequent first. For Chinese,
    Japanese and Korean they are the most frequent characters; ``common`` is then a character set
    and the range of first bytes that its common characters have there.
    """

    name: str
    encodings: str
    characters: str
    common: tuple[str, int, int] | None = None


_LANGUAGES = (
    _Language("English", "cp1252", "’“”–—‘…é£•"),
    _Language("French", "cp1252 mac_roman cp850", "éèà’êçùôîâûœëï«»"),
    _Language("German", "cp1252 mac_roman cp850", "üäöß„“–"),
    _Language("Spanish", "cp1252 mac_roman cp850", "óáíéñú¿¡ü"),
    _Language("Portuguese", "cp1252 mac_roman cp850", "ãçáéóíêõúâôà"),
    _Language("Italian", "cp1252 mac_roman cp850", "èàùòìé’"),
    _Language("Scandinavian", "cp1252 mac_roman cp850", "äåøæöé"),
    _Language("Icelandic", "cp1252", "ðíáþéóöúæý"),
    _Language("Polish", "cp1250 iso8859_2 cp852", "łąęóżśćńź„”"),
    _Language("Czech", "cp1250 iso8859_2 cp852", "íáěéšřžýčůúťóňď„“"),
    _Language("Hungarian", "cp1250 iso8859_2 cp852", "áéíóöőüúű„”"),
    _Language("Romanian", "cp1250 iso8859_2", "ăîâşţ„”"),
    _Language("Croatian", "cp1250 iso8859_2", "čšžćđ"),
    _Language("Russian", "cp1251 koi8_r cp866", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё«»–№"),
    _Language("Ukrainian", "cp1251 koi8_u", "оанитівреслкудмпязьбгйчжхцюєшїфщґ«»–’"),
    _Language("Greek", "cp1253 iso8859_7", "αοιετσνηυρπκμλςίόδγέάήχωθύφβώξζψϊ"),
    _Language("Turkish", "cp1254", "ıüğşçöâ"),
    _Language("Hebrew", "cp1255", "יוהלארתבמשנעםדחפקכןטצגזסךףץ"),
    _Language("Arabic", "cp1256", "اليمونرتبةعدسفهكقأحجشصىخإذطزضغثءئظآؤ،"),
    _Language("Baltic", "cp1257", "āīēšąėžūųčņļįęģķõäöü"),
    _Language("Thai", "cp874", "านรกเงอมลย่ีว้ัทสต์ะปิดบคหแจพชขใโไุผ็ซูถศณึฟธภญษฐื"),
    _Language(
        "Korean", "cp949",
        "이다는을에의가지고하도한기사를로그어은아자리서인있나정해시수대들게만부일전원보라음"
        "장여것주제과거구성상동스용내안없말맛요했았었습니면세야무오조마좋너비와",
        ("euc_kr", 0xB0, 0xC8),
    ),
    _Language(
        "Japanese", "cp932 euc_jp",
        "".join(map(chr, range(0x3041, 0x3094))) + "".join(map(chr, range(0x30A1, 0x30F7)))
        + "ー日一人大年本中出会国上生時行",
        ("euc_jp", 0xB0, 0xCF),
    ),
    _Language(
        "Chinese", "gb18030",
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下"
        "自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小很",
        ("gb2312", 0xB0, 0xD7),
    ),
    _Language(
        "Chinese", "big5",
        "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下"
        "自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小很",
        ("big5", 0xA4, 0xC6),
    ),
)  # fmt: skip

# Marks and symbols that texts in any language may have.
_NEUTRAL = re.compile("[\xa0§©®°·×\u2010-\u203a€™\u3000-\u301f\u3200-\u33ff\uff01-\uff65]")
_WORD = re.compile(r"\w+|[^\w\s]")
_CAPITAL_INSIDE = re.compile("[a-zß-öø-ÿα-ωа-я][A-ZÀ-ÖØ-ÞΑ-ΩА-Я]")
_ESCAPED = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]+")


class Candidate(NamedTuple):
    """An encoding that a text may have, a language, the text read so, and how well it fits."""

    encoding: str
    language: str
    text: str
    fit: float

    def __str__(self) -> str:
        first = re.search(r"\S*[^\s\x00-\x7f]", self.text)
        start = " ".join(self.text[first.start() if first else 0 :][:_SHOWN_CHARACTERS].split())
        name = self.encoding.upper().replace("_", "-").replace("CP125", "Windows-125")
        return f'{self.language}{name} ("{start} …")'


def utf8_text(
    file: IO[bytes],
    name: str,
    encoding: str | None = None,
    tell: Callable[[str], None] = _log.warning,
) -> BinaryIO:
    """A buffered reader of a text file as UTF-8, also of a compressed one.

    Undecodable bytes stay as they are, so that only their record is bad.

    Args:
        file: opened for reading bytes, at its start.
        name: the file's name, for its suffix and for messages.
        encoding: of the file; None for UTF-8. A file that is UTF-8 all the same is read so.
        tell: takes a sentence for the user where the encoding is doubtful.

    Raises:
        UserError: the file as a whole is in another encoding; the message names the likely one.
    """
    reader = compression.decompressed(file, name)
    sample = cast(io.BufferedReader, reader).peek(_SAMPLE_BYTES)[:_SAMPLE_BYTES]
    given = None if encoding is None else codecs.lookup(encoding).name.replace("-", "_")
    utf16 = _as_utf16(sample)
    undecodable, decodable, first = _parts(sample, "utf-8")
    is_utf8 = not utf16 and not undecodable
    is_ascii = is_utf8 and not decodable
    if given in ("utf_8", "utf_8_sig") or (is_ascii and (given or "utf_16").startswith("utf_16")):
        return reader
    if is_utf8 and not is_ascii:
        if given is not None:
            tell(f"{name}: is UTF-8 and read so, in spite of --encoding {encoding}")
        return reader
    if given is None:
        likely = [utf16] if utf16 else likely_encodings(sample)
        is_damage = undecodable < _FEWEST_UNDECODABLE and (not likely or first > _START_BYTES)
        if not utf16 and (undecodable <= decodable or is_damage):
            return reader
        raise UserError(f"{name}: not UTF-8; {_advice(likely)}")
    given = _SUPERSETS.get(given, given)
    undecodable, decodable, _ = _parts(sample, given)
    if undecodable > decodable or given.startswith("utf_16") != bool(utf16):
        likely = [utf16] if utf16 else likely_encodings(sample)
        raise UserError(f"{name}: not in the encoding {encoding}; {_advice(likely)}")
    pieces = _recoded(reader, given, f"{name}: not in the encoding {encoding}")
    recoded = io.BufferedReader(compression.PieceReader(pieces), compression.BUFFER_BYTES)
    return cast(BinaryIO, recoded)


def _advice(likely: list[Candidate]) -> str:
    if not likely:
        return "its encoding is not known: say which with --encoding"
    readings = ", or as ".join(map(str, likely))
    flags = " or ".join(f"--encoding {candidate.encoding}" for candidate in likely)
    return f"it reads as {readings}: add {flags}"


def _recoded(file: IO[bytes], encoding: str, problem: str) -> Iterator[bytes]:
    """The bytes of a file, from another encoding to UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    chunk = None
    while chunk != b"":
        chunk = file.read(_SAMPLE_BYTES)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:  # in UTF-16, bytes cannot stay as they are
            raise UserError(f"{problem} ({error}): copy it again") from None
        yield text.encode("utf-8", "surrogateescape")


def _parts(sample: bytes, encoding: str) -> tuple[int, int, int]:
    """How many undecodable and decodable parts beyond ASCII, and where the first of them begins."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    try:
        text = decoder.decode(sample)  # the last character may be cut
    except UnicodeError:
        return 1, 0, 0
    undecodable = _ESCAPED.search(text)
    first = undecodable.start() if undecodable else len(text)
    return len(_ESCAPED.findall(text)), len(_BEYOND_ASCII.findall(text)), first


def _as_utf16(sample: bytes) -> Candidate | None:
    """UTF-16 as a candidate, if the sample has its byte order mark or the zeros of its letters."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        zeros = sample[::2].count(0), sample[1::2].count(0)
        if max(zeros) * 20 < len(sample) or min(zeros) * 10 > max(zeros) or not max(zeros):
            return None
        encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = sample.decode(encoding, "replace")
    return None if "\0" in text else Candidate(encoding, "", text, 1.0)


def likely_encodings(sample: bytes) -> list[Candidate]:
    """The encodings in which a sample that is not UTF-8 reads as a language, the likeliest first.

    Only those that are about as likely as the first.
    """
    beyond_ascii = re.search(rb"[\x80-\xff]", sample)
    start = max(0, beyond_ascii.start() - _SHOWN_CHARACTERS) if beyond_ascii else 0
    sample = sample[start : start + _COMPARED_BYTES]
    best: dict[str, Candidate] = {}  # by the text
    for language in _LANGUAGES:
        for number, encoding in enumerate(language.encodings.split()):
            try:
                text = codecs.getincrementaldecoder(encoding)().decode(sample)
            except UnicodeDecodeError:
                continue
            fit = _fit(text, language) - (_CLOSE if number else 0)
            if text not in best or fit > best[text].fit:
                best[text] = Candidate(encoding, f"{language.name} in ", text, fit)
    found = sorted(best.values(), key=lambda candidate: -candidate.fit)
    least = max(_LEAST_FIT, found[0].fit - _CLOSE) if found else 0
    return [candidate for candidate in found if candidate.fit >= least]


def _fit(text: str, language: _Language) -> float:
    """How well the characters beyond ASCII fit the language, at most 1; less if there are few."""
    characters, common = language.characters, language.common
    slope = 0.0 if common else 0.4 / len(characters)
    weights = {character: 1 - slope * rank for rank, character in enumerate(characters)}
    is_latin = characters[0] < "\u0370" or not characters[0].isalpha()
    total, count = 0.0, 0.5
    for word in filter(lambda word: not word.isascii(), _WORD.findall(text)):
        # A capital inside a word, or letters of two alphabets, are signs of a wrong encoding.
        mixed = not is_latin and any(letter.isascii() and letter.isalpha() for letter in word)
        is_wrong = not common and (mixed or _CAPITAL_INSIDE.search(word) is not None)
        for character in filter(lambda character: not character.isascii(), word):
            weight = weights.get(character.lower())
            if weight is None and _NEUTRAL.match(character):
                continue
            if weight is None and common:
                weight = 0.7 * _is_common(character, *common)
            total += 0 if is_wrong else weight or 0
            count += 1
    return total / count


def _is_common(character: str, charset: str, first: int, last: int) -> bool:
    try:
        code = character.encode(charset)
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and first <= code[0] <= last
