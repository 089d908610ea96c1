"""How files of text and tables are written, where this cannot be found in them, and the flags."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings.fields import check_values, data_flag


@dataclass(frozen=True)
class FileFormat:
    """What the user says about files; None where it is to be found in the file.

    Attributes:
        encoding: of text.
        delimiter: between the columns of a text table.
        header: False if the first row of a table is an example.
        columns: names for the columns of a table without a header.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    columns: tuple[str, ...] | None = None

    def given(self) -> dict[str, str]:
        """What the user says, by flag, as texts."""
        columns = None if self.columns is None else ",".join(self.columns)
        flags = {"--encoding": self.encoding, "--delimiter": self.delimiter, "--columns": columns}
        flags["--no-header"] = None if self.header else "yes"
        return {flag: value for flag, value in flags.items() if value is not None}

    def refuse_for(self, source: str) -> None:
        """Raise a ``UserError`` if it says something about tables, for another kind of file."""
        if flag := next((flag for flag in self.given() if flag != "--encoding"), None):
            raise UserError(f"{source}: {flag} is for .csv, .tsv and .xlsx files: leave it out")


@dataclass(frozen=True, kw_only=True)
class ReadingFlags:
    """The flags of commands that read text or tables."""

    encoding: str | None = data_flag(
        "encoding of text that is not UTF-8, such as cp949, shift_jis or cp1252", metavar="NAME"
    )
    delimiter: str | None = data_flag(
        "character between the columns of .csv and .tsv files, or tab; by default found in them",
        metavar="CHAR",
    )
    header: bool = data_flag(
        "the first row of a table names its columns; without names they are 1, 2, 3 …",
        default=True,
    )
    columns: str | None = data_flag(
        "names for the columns of a table without a header, such as label,text", metavar="NAMES"
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.delimiter is not None and self.file_format.delimiter in ("", "\n", "\r", '"'):
            raise UserError(f"--delimiter takes one character, or tab, not {self.delimiter!r}")
        names = self.file_format.columns or ()
        if len(set(names)) < len(names) or not all(names):
            raise UserError(f"--columns {self.columns}: give each column a name of its own")
        try:
            # A text codec, and not one such as base64.
            "".encode(self.encoding or "utf-8")
        except (LookupError, ValueError):  # also of a name with a null character
            raise UserError(
                f"--encoding {self.encoding}: unknown: give a name such as cp949, shift_jis, "
                "gb18030, cp1252 or utf-16"
            ) from None

    @property
    def file_format(self) -> FileFormat:
        """What the flags say."""
        delimiter = {"tab": "\t", "\\t": "\t"}.get(self.delimiter or "", self.delimiter)
        if delimiter is not None and len(delimiter) != 1:
            delimiter = ""
        names = None if self.columns is None else self.columns.split(",")
        columns = None if names is None else tuple(name.strip() for name in names)
        return FileFormat(self.encoding, delimiter, self.header, columns)
