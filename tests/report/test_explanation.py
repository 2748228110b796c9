"""The page about one quantized tensor: both languages, all figures, nothing from elsewhere."""

from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest

from penjing.core.errors import StorageError
from penjing.quantization.explain import explain
from penjing.quantization.scheme import SCHEMES
from penjing.report.explanation import explanation_page, write_explanation
from penjing.report.explanation_words import _PAIRS, EXPLANATION_WORDS


@pytest.fixture(scope="module")
def data():
    w = np.random.default_rng(0).standard_normal((32, 96)).astype(np.float32)
    w[3, 50] = -30.0
    schemes = [SCHEMES[name] for name in ("int8-tensor", "uint8", "int4-g32")]
    return asdict(explain(w, schemes, name="layers.0.<up>"))


class Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.languages: list[str] = []
        self.said: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if tag == "main":
            self.languages.append(names["lang"])
        assert not {"src", "href"} & set(names)

    def handle_data(self, data):
        self.said.append(data)


def test_the_page_says_what_the_data_says(data):
    page = explanation_page(data)
    text = Text(page)
    said = " ".join(text.said)
    assert text.languages == ["en", "zh"] and page.count("<svg") == 8
    assert "layers.0.<up>" in said and "<up>" not in page
    for word in ("32 × 96", "−30", "row 3, column 50", "第 3 行第 50 列", "groups of 32"):
        assert word in said, word
    for row in data["rounded"]:
        assert f"{row['error']['sqnr_db']:.1f}" in said
        assert row["scheme"].replace("-", "\u2011") in said
    assert "nan" not in page.lower().replace("nanum", "")


def test_one_scheme_and_none(data):
    for rounded in ([data["rounded"][0]], []):
        assert "</html>" in explanation_page(data | {"rounded": rounded})


def test_constants():
    found = explain(np.zeros((4, 32), np.float32), [SCHEMES["int4-g32"]], name="z", stored="Q8_0")
    assert "以 Q8_0 存储" in explanation_page(asdict(found))
    assert "∞" in explanation_page(asdict(found)) or "inf" in explanation_page(asdict(found))


def test_both_languages_say_all():
    english, chinese = EXPLANATION_WORDS["en"], EXPLANATION_WORDS["zh"]
    assert english.keys() == chinese.keys() == _PAIRS.keys()
    for name, (a, b) in _PAIRS.items():
        assert a.count("{") == b.count("{"), name


def test_it_is_written_whole_or_not_at_all(data, tmp_path):
    write_explanation(data, tmp_path / "up.html")
    assert (tmp_path / "up.html").read_text(encoding="utf-8").endswith("</html>\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_explanation(data, tmp_path / "file" / "up.html")
