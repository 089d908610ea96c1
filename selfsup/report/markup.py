"""The pieces of HTML that a report's sections are made of."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from selfsup.images.pixels import BadImage, ResizeShorterSide, decode

_LONGEST_TEXT = 240  # characters
_CONTEXT = 100  # characters on either side of a marked passage
_JPEG_QUALITY = 88


class Passage(NamedTuple):
    """A text, of which the part between the other two is marked."""

    before: str
    marked: str = ""
    after: str = ""


def abbreviated(text: str, longest: int = _LONGEST_TEXT) -> str:
    """The text in one line, cut in the middle if it has more characters than ``longest``."""
    words = " ".join(text.split())
    if len(words) <= longest:
        return words
    end = longest // 3
    return f"{words[: longest - end - 3].rstrip()} … {words[-end:].lstrip()}"


def around(text: str, start: int, end: int) -> Passage:
    """The characters from ``start`` up to ``end``, marked, with some context around them."""
    first, last = max(0, start - _CONTEXT), min(len(text), end + _CONTEXT)
    return Passage(
        ("…" if first else "") + text[first:start],
        abbreviated(text[start:end]),
        text[end:last] + ("…" if last < len(text) else ""),
    )


class Picture(NamedTuple):
    """A picture that is embedded in the page as a data URI; its size is in pixels."""

    uri: str
    width: int
    height: int


def read_picture(file: Path, longest: int) -> Picture | None:
    """Read an image file, scaled to at most ``longest`` pixels a side; None if it cannot be read.

    Much smaller images are enlarged by a whole factor, so that single pixels can be seen.
    """
    try:
        pixels = decode(file, ResizeShorterSide(longest), smallest=1)
    except (BadImage, OSError, ValueError):  # ValueError: no file can have such a name
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    factor = longest // max(image.size)
    if factor > 1:
        size = (factor * image.width, factor * image.height)
        image = image.resize(size, Image.Resampling.NEAREST)
    return Picture(_data_uri(image), *image.size)


def show_picture(picture: Picture, about: str) -> str:
    """The picture in HTML; ``about`` describes it in plain text."""
    return (
        f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(about)}" title="{escape(about)}">'
    )


def _data_uri(image: Image.Image) -> str:
    """The image as PNG, or as JPEG if that is less than half the size."""
    data = {kind: io.BytesIO() for kind in ("png", "jpeg")}
    image.save(data["png"], "PNG", optimize=True)
    image.save(data["jpeg"], "JPEG", quality=_JPEG_QUALITY)
    png, jpeg = (buffer.getvalue() for buffer in data.values())
    kind, smaller = ("jpeg", jpeg) if 2 * len(jpeg) < len(png) else ("png", png)
    return f"data:image/{kind};base64,{base64.b64encode(smaller).decode()}"


def section(title: str, *parts: str) -> str:
    """A section with its heading; empty if all its parts are."""
    body = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """Key figures at the top of a page: (name, value, explanation)."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(about)}</small></dd></div>"
        for name, value, about in entries
    )
    return f'<dl class="tiles">{items}</dl>' if items else ""


def charts(*figures: str) -> str:
    """Figures, side by side if there is room."""
    body = "".join(figures)
    return f'<div class="charts">{body}</div>' if body else ""


class Strong(str):
    """A table's cell in bold."""


def best_in_bold(
    cells: Iterable[str], values: Sequence[float | None], best_of: Callable[..., float]
) -> list[str]:
    """The cells, those of the best value (``best_of`` is min or max) in bold if values differ."""
    if len(set(values)) < 2:
        return list(cells)
    best = best_of(value for value in values if value is not None)
    return [
        Strong(cell) if value == best else cell for cell, value in zip(cells, values, strict=True)
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows."""
    body = ""
    for name, *cells in rows:
        body += f'<tr><th scope="row">{escape(name)}</th>'
        for cell in cells:
            mark = ' class="best"' if isinstance(cell, Strong) else ""
            body += f"<td{mark}>{escape(cell)}</td>"
        body += "</tr>"
    return _table(_heads(head), body)


def _heads(names: Iterable[str]) -> str:
    return "".join(f'<th scope="col">{escape(name)}</th>' for name in names)


def _table(header: str, body: str, kind: str = "") -> str:
    """A table that scrolls by itself where it is too wide for the page."""
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<div class="wide"><table{mark}><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def figure(title: str, body: str, about: str = "", kind: str = "") -> str:
    """A figure whose body is HTML, with its title and an explanation above it."""
    mark = f' class="{kind}"' if kind else ""
    unit = f' <span class="unit">{escape(about)}</span>' if about else ""
    return f"<figure{mark}><figcaption><b>{escape(title)}</b>{unit}</figcaption>{body}</figure>"


def confusion_matrix(labels: Sequence[Any], matrix: Sequence[Sequence[float]], about: str) -> str:
    """Rows: true labels; columns: predicted ones. A cell's shade is its share of the row."""
    head = "".join(f'<th scope="col"><span>{escape(str(label))}</span></th>' for label in labels)
    rows = ""
    for number, (label, counts) in enumerate(zip(labels, matrix, strict=False)):
        total = sum(counts) or 1
        cells = ""
        for column, (predicted, value) in enumerate(zip(labels, counts, strict=False)):
            share = value / total
            kind = "right" if column == number else "wrong"
            title = f"{label} taken for {predicted}: {value:g} ({share:.0%})"
            cells += (
                f'<td class="{kind}{"" if value else " zero"}" style="--share:{share:.3f}" '
                f'title="{escape(title)}">{value:g}</td>'
            )
        rows += f'<tr><th scope="row">{escape(str(label))}</th>{cells}</tr>'
    # With many labels the column heads are turned, to be narrow.
    many = " many" if len(labels) > 8 else ""
    shown = _table(f"<td></td>{head}", rows)
    return figure("Confusion matrix", shown, about, f"confusion{many}")


def example_table(head: Sequence[str], rows: Iterable[Iterable[Sequence[Passage]]]) -> str:
    """A row for each example; a cell holds passages, each a paragraph."""
    body = ""
    for row in rows:
        cells = ""
        for cell in row:
            # Long texts, such as URLs, may break anywhere; names and numbers may not.
            mark = ' class="text"' if any(len("".join(part)) > 30 for part in cell) else ""
            paragraphs = "".join(f"<p>{_passage(part)}</p>" for part in cell)
            cells += f'<td dir="auto"{mark}>{paragraphs}</td>'
        body += f"<tr>{cells}</tr>"
    return _table(_heads(head), body, "examples")


def _passage(passage: Passage) -> str:
    marked = f"<mark>{escape(passage.marked)}</mark>" if passage.marked else ""
    return escape(passage.before) + marked + escape(passage.after)


def picture_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of pictures; cells are HTML."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return _table(_heads(head), body, "pictures")


def gallery(cards: Iterable[str]) -> str:
    """A list of cards, as many in a row as there is room for; a card is HTML."""
    items = "".join(f"<li>{card}</li>" for card in cards)
    return f'<ul class="gallery">{items}</ul>' if items else ""


def filled_masks(examples: Iterable[dict[str, Any]]) -> str:
    """Texts with [MASK], and the model's most probable tokens for it, with their probabilities."""
    cards = ""
    for example in examples:
        text = escape(str(example.get("text", ""))).replace("[MASK]", "<mark>[MASK]</mark>")
        rows = "".join(
            f'<li style="--share:{entry["probability"]:.4f}"><b>{escape(str(entry["token"]))}</b>'
            f"<span>{100 * entry['probability']:.1f} %</span></li>"
            for entry in example.get("candidates", [])
        )
        cards += f'<div class="masked"><p>{text}</p><ol>{rows}</ol></div>'
    return f'<div class="charts">{cards}</div>' if cards else ""
