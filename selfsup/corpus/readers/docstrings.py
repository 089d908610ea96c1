"""Read the documentation of the installed Python packages: ``docs://installed``.

Docstrings of modules, classes and functions are found with ``ast``; nothing is imported.
"""

import ast
import inspect
import os
import re
import site
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from selfsup.corpus.readers.documents import BadRecord, Document, Record, is_encodable

_SHORTEST = 80
_LONGEST_MODULE = 8 << 20  # bytes; what is parsed takes about a hundred times as much memory
# Tests document nothing, and vendored packages are also installed under their own names.
_SKIPPED_FOLDERS = re.compile(
    r"tests?|testing|_?testdata|idlelib|lib2to3|site-packages|dist-packages|__pycache__"
    r"|_vendor|_vendored|vendored|.*\.dist-info|.*\.egg-info|\..*"
)
_SKIPPED_FILES = re.compile(r"test_.*|.*_test\.py|conftest\.py")
_DOCSTRING_QUOTES = (b'"""', b"'''")

_EXAMPLE = re.compile(r"\s*(>>>|\.\.\. |\$ )")
_UNDERLINE = re.compile(r"\s*([-=~^*#+_`.])\1{2,}\s*$")


def installed_modules() -> list[tuple[str, Path]]:
    """Dotted names and files of the installed modules, sorted by name.

    The standard library and the site-packages folders; neither tests nor the current folder.
    """
    paths = sysconfig.get_paths()
    roots = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots += site.getsitepackages()
    if site.ENABLE_USER_SITE:
        roots.append(site.getusersitepackages())
    modules: dict[str, Path] = {}
    for root in dict.fromkeys(roots):
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = [name for name in subfolders if not _SKIPPED_FOLDERS.fullmatch(name)]
            for name in files:
                path = Path(folder, name)
                if (
                    name.endswith(".py")
                    and not _SKIPPED_FILES.fullmatch(name)
                    and path.is_file()  # not a broken link
                ):
                    modules.setdefault(_dotted_name(path.relative_to(root)), path)
    return sorted(modules.items())


def read_docstrings(name: str, path: Path) -> Iterator[Record]:
    """Yield a document for each docstring of a module, in order.

    Args:
        name: the module's dotted name. A document's id is this plus the name within the module,
            such as ``numpy.linalg.solve``, so that its first part is the library.
        path: the module's file.
    """
    try:
        if path.stat().st_size > _LONGEST_MODULE:
            yield BadRecord(str(path), None, f"longer than {_LONGEST_MODULE >> 20} MiB")
            return
        source = path.read_bytes()
    except OSError as error:
        yield BadRecord(str(path), None, f"cannot be read ({error.strerror})")
        return
    if not any(quotes in source for quotes in _DOCSTRING_QUOTES):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Invalid escapes in string literals.
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield BadRecord(str(path), None, f"not Python that this interpreter reads ({error})")
        return
    yield from _documents(tree, name, str(path))


def _documents(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, path: str
) -> Iterator[Document]:
    docstring = ast.get_docstring(node, clean=False)
    if docstring is not None:
        text = docstring_paragraphs(docstring)
        if len(text) >= _SHORTEST and is_encodable(text):
            yield Document(name, text, path)
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documents(child, f"{name}.{child.name}", path)


def docstring_paragraphs(docstring: str) -> str:
    """The prose of a docstring, one paragraph per line.

    Wrapped lines are joined; interactive examples and the underlines of headings are left out.
    """
    paragraphs: list[list[str]] = [[]]
    in_example = False
    for line in inspect.cleandoc(docstring).splitlines():
        stripped = line.strip()
        # The output of an example ends at the next blank line.
        in_example = bool(stripped) and (in_example or _EXAMPLE.match(line) is not None)
        if _UNDERLINE.match(line) or not stripped:
            paragraphs.append([])
        elif not in_example:
            paragraphs[-1].append(stripped)
    return "\n".join(" ".join(lines) for lines in paragraphs if lines)


def _dotted_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
