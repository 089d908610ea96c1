"""The demo's text and its task: which library does a description come from?

The text is the documentation of a fixed list of libraries: Python's standard library, and selfsup's
dependencies. It is divided into a part to pre-train on and a small labelled set. All documents of
one file go to the same part, and whatever resembles a labelled description is left out of
pre-training, so that the model has never seen what it is tested on.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from selfsup.demo.processes import map_in_processes
from selfsup.demo.run import TEST, TRAIN, VALIDATION
from selfsup.errors import UserError

# Every installation has these: selfsup's dependencies, and the libraries that these need. Other
# packages are ignored, so that the demo is the same whatever else is installed.
DEPENDENCIES = (
    "PIL", "filelock", "fsspec", "functorch", "huggingface_hub", "jinja2", "joblib",
    "jsonargparse", "markdown_it", "mpmath", "networkx", "numpy", "packaging", "pyarrow",
    "pygments", "rich", "safetensors", "scipy", "sentencex", "sklearn", "sympy", "threadpoolctl",
    "tokenizers", "torch", "torchgen", "tqdm", "yaml", "zstandard",
)  # fmt: skip
MAX_LABELS = 10
# Labelled descriptions of each library: few, because labels are what is scarce in practice.
EXAMPLES = {TEST: 50, VALIDATION: 8, TRAIN: 16}
MAX_WORDS = 40

_MIN_WORDS = 12
_MAX_PER_FILE = 4  # the descriptions in one file are alike
_FILES_PER_CHUNK = 64
# Names with this many letters or more are also taken out of longer words.
_LONG_NAME = 5
# Other names of the libraries: of their packages, and short names in their documentation.
_OTHER_NAMES = {
    "PIL": ("pillow",),
    "functorch": ("torch",),
    "huggingface_hub": ("hf",),
    "markdown_it": ("markdown-it-py",),
    "networkx": ("nx",),
    "numpy": ("np",),
    "scipy": ("sp",),
    "sklearn": ("scikit-learn", "scikit"),
    "torchgen": ("torch",),
    "yaml": ("pyyaml",),
}
_WORD = re.compile(r"\w+")
_WORDS_IN_A_ROW = 8  # that count as copied; shorter sequences occur by chance
_COPIED = 0.5

Parts = dict[str, list[Document]]


def library_documents(workers: int | None) -> Iterator[Document]:
    """The docstrings of the standard library and of ``DEPENDENCIES``, read by several processes.

    Args:
        workers: how many processes; if None, as many as there are cores, at most 16.

    Yields:
        documents whose id is a dotted name, such as ``numpy.linalg.solve``, sorted by module.

    Raises:
        UserError: too many of the files cannot be read.
    """
    libraries = {*sys.stdlib_module_names, *DEPENDENCIES}
    modules = [
        module for module in find_inputs([DOCS_INSTALLED]) if _library_of(module.name) in libraries
    ]
    counter = BadRecordCounter(DEFAULT_MAX_BAD_FRACTION)
    processes = workers or default_workers()
    for records in map_in_processes(_read_module, modules, processes, _FILES_PER_CHUNK):
        for record in records:
            counter.count(record)
            if isinstance(record, Document):
                yield record
    counter.check_fraction()


def _read_module(module: Input) -> list[Record]:
    return list(read_docstrings(module.name, Path(module.url)))


def _library_of(dotted_name: str) -> str:
    return dotted_name.partition(".")[0]


@dataclass(frozen=True)
class Example:
    """A labelled description.

    Attributes:
        label: its library.
        text: its first words, without the names of the libraries.
        name: the full name of what it describes.
    """

    label: str
    text: str
    name: str


@dataclass(frozen=True)
class Division:
    """Documents divided; see ``divide``.

    Attributes:
        pretraining: documents without labels.
        examples: of each part (``TRAIN``, ``VALIDATION``, ``TEST``); the labels alternate.
        labels: the libraries' names, sorted.
        left_out: how many documents belong to neither: duplicates, near-copies of labelled ones,
            and others from their files.
    """

    pretraining: list[Document]
    examples: dict[str, list[Example]]
    labels: tuple[str, ...]
    left_out: int


def divide(documents: Iterable[Document], seed: int) -> Division:
    """Divide documents into a part to pre-train on and a labelled task.

    The labels are the libraries with the most documents among those that have enough files.

    Args:
        documents: their ids begin with the library's name.
        seed: of the choice of files.

    Raises:
        UserError: fewer than two libraries have enough documentation.
    """
    given = list(documents)
    first_with_text: dict[str, Document] = {}
    for document in given:
        first_with_text.setdefault(document.text, document)
    unique = list(first_with_text.values())
    by_library: dict[str, list[Document]] = defaultdict(list)
    for document in unique:
        by_library[_library_of(document.id)].append(document)
    labelled = NearCopies()
    chosen: dict[str, Parts] = {}
    for library in sorted(by_library, key=lambda name: (-len(by_library[name]), name)):
        parts = _choose(by_library[library], seed, labelled)
        if parts is not None:
            chosen[library] = parts
        if len(chosen) == MAX_LABELS:
            break
    if len(chosen) < 2:
        raise UserError(
            "docs://installed: fewer than two of the libraries that the demo reads, such as scipy "
            "and torch, have enough documentation here to make a task from: install selfsup again "
            "with its dependencies, and with their source files"
        )
    taken = [document for parts in chosen.values() for part in parts.values() for document in part]
    taken_files = {document.source for document in taken}
    pretraining = [
        document
        for document in unique
        if document.source not in taken_files and not labelled.matches(document.text)
    ]
    return Division(
        pretraining,
        {part: _examples(chosen, part) for part in EXAMPLES},
        tuple(sorted(chosen)),
        len(given) - len(pretraining) - len(taken),
    )


def _choose(documents: list[Document], seed: int, labelled: "NearCopies") -> Parts | None:
    """One library's documents for each part; None if there are too few."""
    by_file: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        by_file[document.source].append(document)
    usable = sum(min(_MAX_PER_FILE, len(of_file)) for of_file in by_file.values())
    if usable < sum(EXAMPLES.values()):
        return None
    # Sorted by the first document's name, not by path, to be the same on any machine.
    files = sorted(by_file.values(), key=lambda of_file: of_file[0].id)
    order = iter(permutation(len(files), seed))
    parts: Parts = {part: [] for part in EXAMPLES}
    for part, wanted in EXAMPLES.items():
        while len(parts[part]) < wanted:
            file = next(order, None)
            if file is None:
                return None
            most = min(_MAX_PER_FILE, wanted - len(parts[part]))
            parts[part] += _suitable(files[file], most, labelled)
    return parts


def _suitable(documents: list[Document], most: int, labelled: "NearCopies") -> list[Document]:
    """Up to ``most`` of a file's documents that are long enough and resemble no labelled one."""
    found: list[Document] = []
    for document in documents:
        text = first_words(document.text)
        if len(found) == most:
            break
        if len(text.split()) >= _MIN_WORDS and not labelled.matches(text):
            labelled.add(text)
            found.append(document)
    return found


def _examples(chosen: dict[str, Parts], part: str) -> list[Example]:
    """A part's examples; the labels alternate."""
    names = names_pattern(chosen)
    return [
        Example(library, first_words(names.sub("", document.text)), document.id)
        for row in range(EXAMPLES[part])
        for library in sorted(chosen)
        for document in (chosen[library][part][row],)
    ]


def first_words(text: str) -> str:
    """The first ``MAX_WORDS`` words, with single spaces between them."""
    return " ".join(text.split()[:MAX_WORDS])


def names_pattern(libraries: Iterable[str]) -> re.Pattern[str]:
    """A pattern of all names of these libraries, to take out of a text.

    A dot after a name is included where an attribute follows: ``np.ndarray`` becomes ``ndarray``.
    """
    names = {
        name.lower() for library in libraries for name in (library, *_OTHER_NAMES.get(library, ()))
    }
    # The longest first, so that nothing of scikit-learn remains.
    patterns = [_name_pattern(name) for name in sorted(names, key=lambda name: (-len(name), name))]
    return re.compile(rf"(?:{'|'.join(patterns)})(?:\.(?=\w))?", re.IGNORECASE)


def _name_pattern(name: str) -> str:
    pattern = "[-_ ]?".join(re.escape(part) for part in re.split("[-_ ]", name))
    return pattern if len(name) >= _LONG_NAME else rf"(?<![a-z]){pattern}(?![a-z])"


class NearCopies:
    """Finds texts that share most of their words with an earlier one, such as amended copies.

    Texts are compared by their sequences of eight words, upper and lower case alike; a shorter
    text is one sequence.
    """

    def __init__(self) -> None:
        self._texts_with: defaultdict[int, list[int]] = defaultdict(list)
        self._sequence_counts: list[int] = []

    def add(self, text: str) -> None:
        """Add a text to compare others with."""
        sequences = _word_sequences(text)
        for sequence in sequences:
            self._texts_with[sequence].append(len(self._sequence_counts))
        self._sequence_counts.append(len(sequences))

    def matches(self, text: str) -> bool:
        """Whether the text shares half of the shorter one's sequences with a text added before."""
        sequences = _word_sequences(text)
        shared = Counter(
            other for sequence in sequences for other in self._texts_with.get(sequence, ())
        )
        return any(
            count >= _COPIED * min(self._sequence_counts[other], len(sequences))
            for other, count in shared.items()
        )


def _word_sequences(text: str) -> set[int]:
    """Hashes of the text's sequences of eight words."""
    words = _WORD.findall(text.lower())
    starts = range(max(1, len(words) - _WORDS_IN_A_ROW + 1))
    return {hash(" ".join(words[start : start + _WORDS_IN_A_ROW])) for start in starts}
