"""Find documents that share most of their text, such as a docstring copied and amended."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from selfsup.corpus.readers.docstrings import read_docstrings
from selfsup.corpus.readers.documents import (
    DEFAULT_MAX_BAD_FRACTION,
    BadRecordCounter,
    Document,
    Record,
)
from selfsup.corpus.readers.inputs import DOCS_INSTALLED, Input, find_inputs
from selfsup.corpus.workers import default_workers
from selfsup.counter_random import permutation
from selfsup.demo.runs import side_by_side
from selfsup.errors import UserError

_WORD = re.compile(r"\w+")
_RUN = 8  # words in a row that count as copied; shorter ones occur by chance
_COPIED = 0.5  # the part of the shorter text's runs that must occur in the other


class NearCopies:
    """Texts that others are compared with, word by word, upper and lower case alike."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._holders: defaultdict[int, list[int]] = defaultdict(list)
        self._runs: list[int] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Add a text to compare with."""
        runs = _runs(text)
        for run in runs:
            self._holders[run].append(len(self._runs))
        self._runs.append(len(runs))

    def has_one_of(self, text: str) -> bool:
        """Whether the text holds half or more of one that was added, or is held so in one.

        Half of its runs of eight words, that is; a text of fewer words is one run.
        """
        runs = _runs(text)
        found = Counter(holder for run in runs for holder in self._holders.get(run, ()))
        return any(
            count >= _COPIED * min(self._runs[holder], len(runs)) for holder, count in found.items()
        )


def _runs(text: str) -> set[int]:
    words = _WORD.findall(text.lower())
    return {hash(" ".join(words[at : at + _RUN])) for at in range(max(1, len(words) - _RUN + 1))}


# The documentation of the Python packages installed here, for the demo.


_FILES_AT_ONCE = 64


def installed_documents(workers: int | None) -> Iterator[Document]:
    """Those of ``docs://installed`` in their order, read by several processes.

    Args:
        workers: how many; if None, as many as there are cores, at most 16.

    Raises:
        UserError: too many of the files cannot be read.
    """
    counter = BadRecordCounter(DEFAULT_MAX_BAD_FRACTION)
    modules = find_inputs([DOCS_INSTALLED])
    for records in side_by_side(_records_of, modules, workers or default_workers(), _FILES_AT_ONCE):
        for record in records:
            counter.count(record)
            if isinstance(record, Document):
                yield record
    counter.check_fraction()


def _records_of(module: Input) -> list[Record]:
    return list(read_docstrings(module.name, Path(module.url)))


# The demo's task, made from the text itself: which library does a description come from?
#
# Documentation is divided into a part to pre-train on and a small labelled set. A file's documents
# all go to one part, and what is much like a labelled description is left out of pre-training, so
# that what is tested was never seen.


LIBRARIES = 10
TEST, VALIDATION, TRAIN = "test", "validation", "train"
# Descriptions of each library. Labels are what there is little of.
EXAMPLES = {TEST: 50, VALIDATION: 8, TRAIN: 16}
LONGEST_WORDS = 40

_SHORTEST_WORDS = 12
_PER_FILE = 4  # the descriptions in one file are alike
_LONG_NAME = 5  # so many letters stand for the library inside of other words too
# What a library is called in its own documentation, besides its names as module and as package.
_NICKNAMES = {
    "matplotlib": ("plt", "mpl", "pyplot", "pylab"),
    "networkx": ("nx",),
    "numpy": ("np",),
    "pandas": ("pd",),
    "scipy": ("sp",),
    "sklearn": ("scikit",),
    "tensorflow": ("tf",),
    "huggingface_hub": ("hf",),
}


Parts = dict[str, list[Document]]


@dataclass(frozen=True)
class Example:
    """A labelled description.

    Attributes:
        label: its library.
        text: its first words, without the names of the libraries.
        name: of what it describes, in full.
    """

    label: str
    text: str
    name: str


@dataclass(frozen=True)
class Division:
    """Documents divided; see ``divide``.

    Attributes:
        pretraining: documents without labels.
        examples: by part (``TRAIN``, ``VALIDATION``, ``TEST``), each label's in turn.
        labels: the libraries, by name.
        left_out: documents that belong to neither: duplicates, near-copies of labelled ones, and
            others from their files.
    """

    pretraining: list[Document]
    examples: dict[str, list[Example]]
    labels: tuple[str, ...]
    left_out: int


def divide(documents: Iterable[Document], seed: int) -> Division:
    """Divide documents into a part to pre-train on and a labelled task.

    The labels are the libraries with the most documents among those that have enough files.

    Args:
        documents: whose id's first part is the library.
        seed: of the choice of files.

    Raises:
        UserError: fewer than two libraries have enough documentation.
    """
    given = list(documents)
    first_of: dict[str, Document] = {}
    for document in given:
        first_of.setdefault(document.text, document)
    unique = list(first_of.values())
    by_library: dict[str, list[Document]] = defaultdict(list)
    for document in unique:
        by_library[library_of(document)].append(document)
    labelled = NearCopies()
    chosen: dict[str, Parts] = {}
    for library in sorted(by_library, key=lambda name: (-len(by_library[name]), name)):
        parts = _choose(by_library[library], seed, labelled)
        if parts is not None:
            chosen[library] = parts
        if len(chosen) == LIBRARIES:
            break
    if len(chosen) < 2:
        raise UserError(
            "docs://installed: fewer than two of the installed packages hold enough documentation "
            "to make a task from: install some, such as scipy, and run the demo again"
        )
    taken = [document for parts in chosen.values() for part in parts.values() for document in part]
    taken_files = {document.source for document in taken}
    pretraining = [
        document
        for document in unique
        if document.source not in taken_files and not labelled.has_one_of(document.text)
    ]
    return Division(
        pretraining,
        {part: _examples(chosen, part) for part in EXAMPLES},
        tuple(sorted(chosen)),
        len(given) - len(pretraining) - len(taken),
    )


def library_of(document: Document) -> str:
    """The first part of a docstring's dotted name."""
    return document.id.partition(".")[0]


def first_words(text: str) -> str:
    """As many words as an example may have, single spaces between them."""
    return " ".join(text.split()[:LONGEST_WORDS])


def names_pattern(libraries: Iterable[str]) -> re.Pattern[str]:
    """What to take out of a text, so that none of these libraries is named in it.

    Of each the module's name, its package's and its nicknames: ``np.ndarray`` becomes ``ndarray``.
    """
    packages = _packages_of_modules()
    names = {
        name.lower()
        for library in libraries
        for name in (library, *packages.get(library, ()), *_NICKNAMES.get(library, ()))
    }
    # The longest first, so that of scikit-learn nothing is left.
    patterns = [_name_pattern(name) for name in sorted(names, key=lambda name: (-len(name), name))]
    # A dot after a name goes too where an attribute follows; a full stop stays.
    return re.compile(rf"(?:{'|'.join(patterns)})(?:\.(?=\w))?", re.IGNORECASE)


@cache
def _packages_of_modules() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _name_pattern(name: str) -> str:
    pattern = "[-_ ]?".join(re.escape(part) for part in re.split("[-_ ]", name))
    return pattern if len(name) >= _LONG_NAME else rf"(?<![a-z]){pattern}(?![a-z])"


def _choose(documents: list[Document], seed: int, labelled: NearCopies) -> Parts | None:
    """One library's documents for each part; None if there are too few."""
    by_file: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        by_file[document.source].append(document)
    if sum(min(_PER_FILE, len(of_file)) for of_file in by_file.values()) < sum(EXAMPLES.values()):
        return None
    # By the first document's name, not by the path: the same on any machine.
    files = sorted(by_file.values(), key=lambda of_file: of_file[0].id)
    order = iter(permutation(len(files), seed))
    parts: Parts = {part: [] for part in EXAMPLES}
    for part, wanted in EXAMPLES.items():
        while len(parts[part]) < wanted:
            place = next(order, None)
            if place is None:
                return None
            most = min(_PER_FILE, wanted - len(parts[part]))
            parts[part] += _suitable(files[place], most, labelled)
    return parts


def _suitable(documents: list[Document], most: int, labelled: NearCopies) -> list[Document]:
    """Up to ``most`` of a file's documents that are long enough and no near-copies of others."""
    found: list[Document] = []
    for document in documents:
        text = first_words(document.text)
        if len(found) == most:
            break
        if len(text.split()) >= _SHORTEST_WORDS and not labelled.has_one_of(text):
            labelled.add(text)
            found.append(document)
    return found


def _examples(chosen: dict[str, Parts], part: str) -> list[Example]:
    """A part's examples, each label's in turn."""
    names = names_pattern(chosen)
    return [
        Example(library, first_words(names.sub("", document.text)), document.id)
        for place in range(EXAMPLES[part])
        for library in sorted(chosen)
        for document in (chosen[library][part][place],)
    ]
