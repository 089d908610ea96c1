"""Documentation of three invented libraries, for tests of the demo."""

import numpy as np

from selfsup.corpus.readers.documents import Document

LIBRARIES = ("alphalib", "betalib", "gammalib")
_WORDS = {
    "alphalib": ("array", "shape", "axis", "vector", "matrix", "stride"),
    "betalib": ("colour", "figure", "legend", "marker", "canvas", "artist"),
    "gammalib": ("graph", "node", "edge", "path", "cycle", "degree"),
}
_SHARED = (
    "returns",
    "the",
    "new",
    "of",
    "a",
    "given",
    "when",
    "parameter",
    "with",
    "and",
    "raises",
)


def toy_documentation(files: int, per_file: int = 3, seed: int = 1) -> list[Document]:
    """Make descriptions in ``files`` files of each library; each names its library once."""
    random = np.random.default_rng(seed)
    documents = []
    for library in LIBRARIES:
        for file in range(files):
            for function in range(per_file):
                words = random.choice([*_SHARED, *_WORDS[library]], (3, 9))
                sentences = [" ".join(row).capitalize() + "." for row in words]
                text = f"{sentences[0]} See {library}.mod{file}.\n{sentences[1]} {sentences[2]}"
                name = f"{library}.mod{file}.f{function}"
                documents.append(Document(name, text, f"/site/{library}/mod{file}.py"))
    return documents
