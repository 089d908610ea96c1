"""The course page: one HTML file that needs no network and no other file."""

from html import escape
from importlib import resources

from selfsup import __version__
from selfsup.explain import other_sections, text_sections
from selfsup.explain.course import Course
from selfsup.explain.writing import CoursePage
from selfsup.report.markup import abbreviated

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


def course_page(course: Course) -> str:
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
