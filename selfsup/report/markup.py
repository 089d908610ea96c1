"""The pieces of HTML that the page's sections are made of."""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Any

from selfsup.report.formatting import Passage


def section(title: str, *parts: str) -> str:
    """A section with its heading, or nothing where all its parts are empty."""
    body = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """Figures that a reader sees first: (name, value, what it means)."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(about)}</small></dd></div>"
        for name, value, about in entries
    )
    return f'<dl class="tiles">{items}</dl>' if items else ""


def charts(*figures: str) -> str:
    """Figures side by side where there is room."""
    body = "".join(figures)
    return f'<div class="charts">{body}</div>' if body else ""


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    strong: Collection[tuple[int, int]] = (),
) -> str:
    """A table whose first column names the rows; strong: the (row, column) to set in bold."""
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = ""
    for number, (name, *cells) in enumerate(rows):
        body += f'<tr><th scope="row">{escape(name)}</th>'
        for column, cell in enumerate(cells, 1):
            mark = ' class="best"' if (number, column) in strong else ""
            body += f"<td{mark}>{escape(cell)}</td>"
        body += "</tr>"
    return (
        f'<div class="wide"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def figure(heading: str, body: str, kind: str = "") -> str:
    """A figure under its caption; both are HTML."""
    mark = f' class="{kind}"' if kind else ""
    return f"<figure{mark}>{heading}{body}</figure>"


def caption(title: str, about: str = "") -> str:
    """A figure's title, and what there is to know of it."""
    unit = f' <span class="unit">{escape(about)}</span>' if about else ""
    return f"<figcaption><b>{escape(title)}</b>{unit}</figcaption>"


def confusion_matrix(labels: Sequence[Any], matrix: Sequence[Sequence[float]], about: str) -> str:
    """Rows are the true labels, columns the predicted; a cell's shade is its share of the row."""
    head = "".join(f'<th scope="col"><span>{escape(str(label))}</span></th>' for label in labels)
    rows = ""
    for number, (label, counts) in enumerate(zip(labels, matrix, strict=False)):
        total = sum(counts) or 1
        cells = ""
        for column, value in enumerate(counts):
            share = value / total
            kind = "right" if column == number else "wrong"
            title = f"{label} taken for {labels[column]}: {value:g} ({share:.0%})"
            cells += (
                f'<td class="{kind}{"" if value else " zero"}" style="--share:{share:.3f}" '
                f'title="{escape(title)}">{value:g}</td>'
            )
        rows += f'<tr><th scope="row">{escape(str(label))}</th>{cells}</tr>'
    # Many names side by side are only narrow when they are turned.
    many = " many" if len(labels) > 8 else ""
    return figure(
        caption("Confusion matrix", about),
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>",
        f"confusion{many}",
    )


def example_table(head: Sequence[str], rows: Iterable[tuple[Sequence[Passage], ...]]) -> str:
    """Examples, one a row; a cell holds passages, a paragraph each."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = ""
    for row in rows:
        cells = ""
        for cell in row:
            # What is long may be broken anywhere, such as an address; names and numbers may not.
            mark = ' class="text"' if any(map(_is_long, cell)) else ""
            paragraphs = "".join(f"<p>{_passage(part)}</p>" for part in cell)
            cells += f'<td dir="auto"{mark}>{paragraphs}</td>'
        body += f"<tr>{cells}</tr>"
    return (
        f'<div class="wide"><table class="examples"><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def picture_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Pictures, a row of them for each thing shown; cells are HTML."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="pictures"><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def gallery(cards: Iterable[str]) -> str:
    """Cards side by side, as many in a row as there is room for; a card is HTML."""
    items = "".join(f"<li>{card}</li>" for card in cards)
    return f'<ul class="gallery">{items}</ul>' if items else ""


def _is_long(passage: Passage) -> bool:
    return sum(map(len, passage)) > 30


def _passage(passage: Passage) -> str:
    marked = f"<mark>{escape(passage.marked)}</mark>" if passage.marked else ""
    return escape(passage.before) + marked + escape(passage.after)


def filled_masks(examples: Iterable[dict[str, Any]]) -> str:
    """Texts with [MASK], and what the model would put there, with its probability."""
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
