"""A report page taken apart, to see what is on it."""

from html.parser import HTMLParser
from pathlib import Path

from selfsup.report.page import write_report

VOID = {"meta", "br", "img", "link", "input"}


class Outline(HTMLParser):
    """The text of a page by tag, its tables, and a check that every tag is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tables: list[list[list[str]]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.append((self.open[-1], data.strip()))
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.replace("\u00a0", " ")

    def of(self, tag: str) -> list[str]:
        return [text for at, text in self.text if at == tag]

    def all_text(self) -> str:
        hidden = {"style", "script"}
        return " ".join(text for tag, text in self.text if tag not in hidden).replace("\u00a0", " ")


def report_on(*folders: Path, out: Path | None = None) -> Outline:
    result = write_report(folders, out)
    return Outline(Path(result["report"]).read_text(encoding="utf-8"))
