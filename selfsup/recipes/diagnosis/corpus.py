"""What can be wrong with text to pre-train on."""

from collections.abc import Iterator
from itertools import islice

from selfsup.corpus.cleaning import clean_paragraphs
from selfsup.corpus.document import BadRecord
from selfsup.corpus.sources import RecordStream, find_inputs
from selfsup.recipes.diagnosis.problem import Fact, Finding, Problem

_MOST_RECORDS = 1_000_000  # as many are looked at, so that memory is bounded
_FEWEST_DOCUMENTS = 4
_FEWEST_CHARACTERS = 1_000_000
_MOST_DUPLICATES = 0.1
_MOST_EMPTY = 0.01
_MOST_DAMAGED = 0.01
_REPLACEMENT = "\ufffd"


def corpus_problems(source: str) -> Iterator[Finding]:
    """Read a file or folder as ``prepare`` would, and count.

    Raises:
        UserError: there is nothing to read, or no field that holds text.
    """
    documents = empty = damaged = duplicates = characters = bad = 0
    first_bad: BadRecord | None = None
    seen: set[int] = set()
    for _, _, record in islice(RecordStream(find_inputs([source])), _MOST_RECORDS):
        if isinstance(record, BadRecord):
            bad += 1
            first_bad = first_bad or record
            continue
        documents += 1
        characters += len(record.text)
        damaged += _REPLACEMENT in record.text
        text = "\n".join(clean_paragraphs(record.text))
        if not text:
            empty += 1
        elif (key := hash(text)) in seen:
            duplicates += 1
        else:
            seen.add(key)
    yield Fact("documents", documents)
    yield Fact("characters", characters)
    if first_bad is not None:
        yield Problem(
            f"{bad:,} of {documents + bad:,} records cannot be read; the first: {first_bad}",
            "write the file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
            if "UTF-8" in first_bad.reason
            else "mend them, or raise --max-bad-fraction to leave them out",
        )
    if empty > _MOST_EMPTY * documents:
        yield Problem(
            f"{empty:,} of {documents:,} documents are empty", "name the right --text-field"
        )
    if damaged > _MOST_DAMAGED * documents:
        yield Problem(
            f"{damaged:,} of {documents:,} documents hold {_REPLACEMENT}, which stands for bytes "
            "that were read in a wrong encoding",
            "make the file anew from its source, in the right encoding",
        )
    if duplicates > _MOST_DUPLICATES * documents:
        yield Problem(
            f"{duplicates:,} of {documents:,} documents are duplicates of others",
            "prepare drops them; look whether the text is there twice",
        )
    if len(seen) < _FEWEST_DOCUMENTS:
        yield Problem(
            f"{len(seen)} different documents: pre-training needs {_FEWEST_DOCUMENTS}, some to "
            "measure with",
            "give more text; if it is one long file, set its documents apart with blank lines",
        )
    elif characters < _FEWEST_CHARACTERS:
        yield Problem(
            f"{characters:,} characters: from so little text an encoder learns little",
            "give more text; a few megabytes is little, some hundred are good",
        )
