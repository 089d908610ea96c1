"""Read documents from files."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

from selfsup.corpus.document import Document
from selfsup.errors import UserError


def read_documents(sources: list[str], *, text_field: str = "text") -> Iterator[Document]:
    """Read documents (first version: JSON lines, plain or xz)."""
    for source in sources:
        path = Path(source)
        if not path.is_file():
            raise UserError(f"{path}: no such file: check the path")
        opened = lzma.open(path) if path.suffix == ".xz" else path.open("rb")
        with opened as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                yield Document(str(record.get("id", number)), record[text_field], source, number)
