"""``selfsup explain``: write the course page, and answer what its steps did with the text."""

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from selfsup import __version__
from selfsup.atomic_files import write_bytes, writing_to
from selfsup.errors import UserError
from selfsup.explain import other_sections, text_sections
from selfsup.explain.course import Course, take_course
from selfsup.explain.writing import CoursePage
from selfsup.report.markup import abbreviated
from selfsup.settings.explain import ExplainSettings

# Identifies a course page: no other page begins with exactly this.
BEGIN = "<!doctype html>\n<!-- a course page, written by selfsup explain -->\n"
_STYLES = (("selfsup.report", "page.css"), ("selfsup.explain", "course.css"))
_SECTIONS = (
    other_sections.idea,
    text_sections.tokens,
    text_sections.masking,
    text_sections.pair,
    other_sections.picture,
    other_sections.transfer,
    other_sections.expect,
    other_sections.next_steps,
)


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
    write_bytes(file, _page(course).encode(), named_by_user=True)
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


def _page(course: Course) -> str:
    """The page's HTML."""
    page = CoursePage(course)
    style = "".join(
        resources.files(package).joinpath(name).read_text(encoding="utf-8")
        for package, name in _STYLES
    )
    title = page.text("title")
    return (
        f'{BEGIN}<html lang="{course.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · selfsup</title><style>{style}</style></head>"
        f'<body class="course"><main><header><p class="what">{page.text("what")}</p>'
        f"<h1>{title}</h1><blockquote>{escape(abbreviated(course.text))}</blockquote>"
        f"{page.paragraph('subtitle', seed=course.settings.seed)}</header>"
        f"{''.join(write(page) for write in _SECTIONS)}"
        f"<footer>selfsup {__version__}</footer></main></body></html>\n"
    )
