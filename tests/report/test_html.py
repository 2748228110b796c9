"""Pages stand alone, and nothing in them is taken for markup."""

from html.parser import HTMLParser

import pytest

from penjing.report.html import (
    Edition,
    Section,
    charts,
    details,
    editions,
    figures,
    notice,
    page,
    paragraph,
    table,
    text_block,
)

EVIL = '<script>alert("1")</script> & 床'
VOID = {"meta", "!doctype", "br", "hr", "input", "link", "img"}


class Checker(HTMLParser):
    """Every element is closed; no attribute points anywhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = {name for name, _ in attrs}
        assert not names & {"src", "href", "srcset", "action", "onclick", "onload"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_is_whole_and_needs_nothing_else():
    text = page("A 标题", [Section("One", paragraph("x")), Section("", text_block("y"))])
    checked = Checker(text)
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "A 标题" in checked.text and checked.tags.count("h2") == 1
    assert "default-src 'none'" in text and "script" not in checked.tags
    assert "http:" not in text and "https:" not in text and "@import" not in text
    assert "prefers-color-scheme:dark" in text and "@media print" in text


def test_a_page_has_its_language():
    assert '<html lang="zh">' in page("题", [], language="zh")


def test_both_languages_are_in_one_page_with_a_switch():
    pages = {"en": Edition("Title", [Section("S", "")]), "zh": Edition("题", [Section("节", "")])}
    text = editions(pages)
    checked = Checker(text)
    assert checked.tags.count("main") == 2 and checked.tags.count("script") == 1
    assert '<button value="en" aria-pressed="true">English' in text
    assert 'html[lang|="en"] main[lang|="zh"]{display:none}' in text


@pytest.mark.parametrize(
    "body",
    [
        table([EVIL, "b"], [[EVIL, 1.5]]),
        text_block(EVIL),
        paragraph(EVIL),
        figures([(EVIL, EVIL, EVIL)]),
        details(EVIL, paragraph(EVIL)),
        notice(EVIL, paragraph(EVIL), severity="error"),
        charts(["<svg/>"]),
    ],
)
def test_everything_is_escaped(body):
    checked = Checker(page(EVIL, [Section(EVIL, body)]))
    assert "script" not in checked.tags
    assert EVIL in "".join(checked.text)


def test_a_text_keeps_its_first_line_break():
    assert text_block("\na") == "<pre>\n\na</pre>\n"  # a parser drops the first of the two


def test_a_column_of_numbers_is_set_right():
    text = table(["name", "loss", "mixed"], [["a", 1.25, "x"], ["b", "2,000", 3], ["c", "–", ""]])
    assert '<th class="number">loss</th>' in text and '<td class="number">–</td>' in text
    assert "<th>name</th>" in text and "<th>mixed</th>" in text
    assert "1.25" in text


def test_a_table_may_be_empty_or_without_header():
    assert "<th>a</th>" in table(["a"], [])
    assert "<thead>" not in table(["", ""], [["x", "y"]])
