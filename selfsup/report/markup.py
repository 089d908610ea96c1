"""The pieces of HTML that the page's sections are made of."""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Any


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


def confusion_matrix(labels: Sequence[Any], matrix: Sequence[Sequence[float]]) -> str:
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
                f'<td class="{kind}" style="--share:{share:.3f}" title="{escape(title)}">'
                f"{value:g}</td>"
            )
        rows += f'<tr><th scope="row">{escape(str(label))}</th>{cells}</tr>'
    return (
        '<figure class="confusion"><figcaption><b>Confusion matrix</b> '
        '<span class="unit">rows: true label, columns: predicted</span></figcaption>'
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></figure>"
    )


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
