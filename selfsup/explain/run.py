"""``selfsup explain``: write the course page, and answer what its steps did with the text."""

from pathlib import Path
from typing import Any

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.errors import UserError
from selfsup.explain.course import take_course
from selfsup.explain.page import BEGIN, course_page
from selfsup.settings.explain import ExplainSettings


def explain(settings: ExplainSettings) -> dict[str, Any]:
    """Write the page.

    Returns:
        ``page``, its path; ``language``; ``seed``, the one that the page explains; ``tokens`` and
        ``ids`` of the text; ``reads``, the tokens that the model reads; ``chosen``, for each chosen
        token its position, action and what is read there; ``shares`` over many seeds; ``pairs``;
        ``patches`` and ``patches_hidden`` of the picture.

    Raises:
        UserError: the text holds nothing to hide, the file is there and is no course page, or the
            model or the picture cannot be used.
    """
    file = Path(settings.out)
    _check_out(file)
    course = take_course(settings)
    with writing_to(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, course_page(course).encode())
    hidden, ids = course.hidden, course.sequence.input_ids
    seen = course.tokens(hidden.seen)
    return {
        "page": str(file),
        "language": course.language,
        "seed": hidden.seed,
        "tokens": course.tokens(ids),
        "ids": ids.tolist(),
        "reads": seen,
        "chosen": [
            {"position": int(row), "token": token, "action": action, "reads": seen[row]}
            for row, token, action in zip(
                hidden.rows, course.tokens(hidden.answers), hidden.actions, strict=True
            )
        ],
        "shares": course.shares,
        "pairs": [
            {
                "tokens": course.tokens(named.pair.input_ids),
                "segments": named.pair.segments.tolist(),
                "is_random": bool(named.pair.label),
            }
            for named in course.pairs
        ],
        "patches": course.picture.facts["patches"],
        "patches_hidden": course.picture.facts["hidden"],
    }


def _check_out(file: Path) -> None:
    if file.is_dir():
        raise UserError(f"--out {file} is a folder: name a file, such as {file / 'explain.html'}")
    if file.is_file() and file.read_bytes()[: len(BEGIN)] not in (b"", BEGIN.encode()):
        raise UserError(
            f"--out {file} is there already and is no course page: name another file, or delete it"
        )
