"""What the command line prints: safe on a terminal, exact elsewhere, and never the end of a run.

Labels, tokens, column names and paths come from files that somebody else may have made. Printed as
they are, a terminal obeys the control characters in them: they move the cursor, change the title or
turn the writing direction around. ``guarded_streams`` puts an ``Output`` around standard output and
standard error, which shows such characters escaped on a terminal. A pipe or a file gets the exact
text.
"""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, TextIO, cast

# All but the tab and the line feed, which stand between what is printed: the other controls of C0
# with ESC, DEL, those of C1, the marks, embeddings and isolates of the writing direction, and
# Unicode's own line breaks.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_CONTROLS_AND_BREAKS = re.compile(rf"[\t\n]|{_CONTROLS.pattern}")
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


class OutputLost(Exception):
    """The answers cannot be written: their reader has ended, or the disk behind them is full.

    It is no ``OSError``, which would be taken for that of another pipe or file.

    Attributes:
        has_no_reader: whether the reader of a pipe has ended, as in ``selfsup … | head``.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.has_no_reader = error.errno == errno.EPIPE


def escaped(text: str) -> str:
    """A text of several lines for a terminal: all control characters but tab and line feed escaped.

    C0 becomes such as ``\\x1b`` and the rest such as ``\\u202e``. JSON holds no C0 as it is, so
    that JSON stays JSON.
    """
    return _CONTROLS.sub(_escape, text)


def line_for(stream: TextIO, text: str) -> str:
    """A text that is to stand in one line or cell: on a terminal its line breaks are escaped too.

    Elsewhere it is the text itself.
    """
    return _CONTROLS_AND_BREAKS.sub(_escape, text) if stream.isatty() else text


def say(text: str) -> None:
    """Tell the user something in one line on standard error."""
    print(line_for(sys.stderr, text), file=sys.stderr, flush=True)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}")


class Output:
    """A text stream around standard output or standard error.

    Whatever is not defined here is the stream's own, as ``buffer``, ``encoding`` and ``fileno``.
    """

    def __init__(self, stream: TextIO, *, on_terminal: bool, is_needed: bool) -> None:
        """Args:
        stream: where to write.
        on_terminal: whether control characters are escaped.
        is_needed: whether a failed write is an error. Otherwise what follows is lost.
        """
        self._stream = stream
        self._on_terminal = on_terminal
        self._is_needed = is_needed

    def write(self, text: str) -> int:
        """Write a text. Characters that the encoding lacks are escaped.

        Raises:
            OutputLost: the stream is needed, and cannot be written.
        """
        shown = escaped(text) if self._on_terminal else text
        with self._failing():
            self._stream.write(_encodable(shown, self._stream))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is buffered.

        Raises:
            OutputLost: the stream is needed, and cannot be written.
        """
        with self._failing():
            self._stream.flush()

    def raw(self) -> "Output":
        """The same stream, whose control characters work; for text that holds only ours."""
        return Output(self._stream, on_terminal=False, is_needed=self._is_needed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _discard(self._stream)
            if self._is_needed:
                raise OutputLost(error) from None


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks escaped, as JSON does."""
    encoding = getattr(stream, "encoding", None)
    if not encoding or _survives(text, encoding):
        return text
    return "".join(each if _survives(each, encoding) else _as_json(each) for each in text)


def _survives(text: str, encoding: str) -> bool:
    """Whether a text is the same once decoded: Shift JIS writes the yen sign as a backslash."""
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def _as_json(character: str) -> str:
    """Such as ``\\u00e9``, and two halves for an emoji."""
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs)


class _PipeData:
    """A binary file whose bytes go to standard output as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        try:
            return self._stream.buffer.write(data)
        except OSError as error:
            _discard(self._stream)
            raise OutputLost(error) from None

    def flush(self) -> None:
        self._stream.flush()


class _TerminalData:
    """A binary file whose UTF-8 text is shown on a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, data: bytes) -> int:
        self._terminal.write(data.decode("utf-8", "surrogateescape"))
        return len(data)

    def flush(self) -> None:
        self._terminal.flush()


def data_output() -> IO[bytes]:
    """Standard output for data in UTF-8: exact in a pipe or a file, escaped on a terminal.

    Its ``write`` and ``flush`` raise ``OutputLost``.
    """
    stream = _without_proxy(sys.stdout)
    kind = _TerminalData if stream.isatty() else _PipeData
    return cast("IO[bytes]", kind(stream))


def raw(stream: TextIO) -> TextIO:
    """The stream for one that draws on a terminal itself, and escapes what it is given."""
    stream = _without_proxy(stream)
    return cast("TextIO", stream.raw()) if isinstance(stream, Output) else stream


def escaping(stream: TextIO) -> TextIO:
    """The stream of a terminal, for what libraries print: control characters are escaped."""
    return cast("TextIO", Output(stream, on_terminal=True, is_needed=False))


def _without_proxy(stream: TextIO) -> TextIO:
    """The stream itself, where rich prints what is written to it above a line that it redraws."""
    return getattr(stream, "rich_proxied_file", stream)


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """In the block standard output and standard error are an ``Output``.

    Where one of them is closed, it leads nowhere. A standard error that cannot be written loses
    what is said and stops nothing; for a standard output there is ``OutputLost``.
    """
    _occupy_standard_descriptors()
    before = sys.stdout, sys.stderr
    out, err = (stream or open(os.devnull, "w", encoding="utf-8") for stream in before)  # noqa: SIM115, PTH123
    sys.stdout = cast("TextIO", Output(out, on_terminal=out.isatty(), is_needed=True))
    sys.stderr = cast("TextIO", Output(err, on_terminal=err.isatty(), is_needed=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in (out, err):
            drop_unwritable(stream)


def drop_unwritable(stream: TextIO) -> None:
    """Where a stream cannot be written, drop what is buffered for it.

    Otherwise the interpreter tries again as it exits, and prints an error.
    """
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let a stream lead nowhere, with what is buffered for it."""
    with contextlib.suppress(OSError, ValueError):  # a stream in memory has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _occupy_standard_descriptors() -> None:
    """Open what is closed of the descriptors 0 to 2.

    The next file that is opened would get the number, and what a library prints would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
