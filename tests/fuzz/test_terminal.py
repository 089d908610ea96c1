"""What is printed: any text, in any encoding, on a terminal and elsewhere."""

import io
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from selfsup.terminal import Output, line_for
from tests.fuzz.target import FUZZED

ENCODINGS = ("utf-8", "ascii", "cp949", "latin-1", "cp1252", "euc-kr", "shift_jis", "utf-16")
CONTROLS = (
    "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"
)
texts = st.text(
    st.sampled_from(CONTROLS)
    | st.characters(exclude_categories=())
    | st.sampled_from("\udcff\ud83d\\")
)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def obeyed(shown: str) -> set[str]:
    """The characters in a text that a terminal obeys; our own line feeds and tabs are none."""
    kinds = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    marks = "\u061c\u200e\u200f\u2028\u2029"
    return {
        each
        for each in shown
        if each not in "\t\n"
        and (
            unicodedata.category(each) == "Cc"
            or unicodedata.bidirectional(each) in kinds
            or each in marks
        )
    }


def printed(text: str, encoding: str, *, on_terminal: bool) -> str:
    written = io.BytesIO()
    stream = Terminal(written, encoding=encoding, newline="\n")
    output = Output(stream, on_terminal=on_terminal, is_needed=True)
    output.write(text)
    output.flush()
    return written.getvalue().decode(encoding)


@FUZZED
@given(text=texts, encoding=st.sampled_from(ENCODINGS))
def test_a_terminal_gets_nothing_that_it_obeys(text: str, encoding: str):
    assert not obeyed(printed(text, encoding, on_terminal=True))
    line = line_for(Terminal(io.BytesIO(), encoding=encoding), text)
    assert not obeyed(line)
    assert len(line.splitlines()) <= 1


@FUZZED
@given(text=texts, encoding=st.sampled_from(ENCODINGS))
def test_elsewhere_the_text_is_exact_as_far_as_the_encoding_goes(text: str, encoding: str):
    shown = printed(text, encoding, on_terminal=False)
    try:
        is_exact = text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        is_exact = False
    assert shown == text if is_exact else "\\u" in shown


@FUZZED
@given(text=texts, encoding=st.sampled_from(ENCODINGS), on_terminal=st.booleans())
def test_json_stays_the_same_json(text: str, encoding: str, on_terminal: bool):
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    shown = printed(json.dumps([text], ensure_ascii=False), encoding, on_terminal=on_terminal)
    assert json.loads(shown) == [text]
