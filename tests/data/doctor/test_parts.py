"""The doctor's smaller instruments: languages, lines, passages, samples, budget."""

import random

import numpy as np
import pytest
from scipy.optimize import brentq

from penjing.data.doctor.budget import GOOD_PASSES, count_tokens, plan_passes, worth
from penjing.data.doctor.languages import LANGUAGES, language_of
from penjing.data.doctor.ledger import Sources
from penjing.data.doctor.lines import COMMON, RepeatedLines
from penjing.data.doctor.passages import EVERYTHING, Passages, known_share, repeated_share
from penjing.data.doctor.phrases import has_phrase
from penjing.data.doctor.sampling import TextSample
from penjing.data.doctor.scan import Scanner
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

# Article 1 of the Universal Declaration of Human Rights.
ARTICLE = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed "
    "with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit "
    "Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "French": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont "
    "doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
    "fraternité.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados "
    "como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "Portuguese": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. "
    "Dotados de razão e de consciência, devem agir uns para com os outros em espírito de "
    "fraternidade.",
    "Italian": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono "
    "dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di "
    "fratellanza.",
    "Dutch": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn "
    "begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van "
    "broederschap te gedragen.",
    "Swedish": "Alla människor är födda fria och lika i värde och rättigheter. De har utrustats "
    "med förnuft och samvete och bör handla gentemot varandra i en anda av gemenskap.",
    "Polish": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są "
    "oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "Turkish": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana "
    "sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "Vietnamese": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi. "
    "Mọi con người đều được tạo hoá ban cho lý trí và lương tâm và cần phải đối xử với nhau trong "
    "tình anh em.",
    "Russian": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены "
    "разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "Ukrainian": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони "
    "наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства.",
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن "
    "يعامل بعضهم بعضا بروح الإخاء.",
    "Hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "Korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "Japanese": "すべての人間は、生まれながらにして自由であり、尊厳と権利とについて平等である。",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，应以兄弟关系相待。",
    "Chinese (traditional)": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，"
    "並應以兄弟關係的精神相對待。",
    "unknown": "12345 67890 +++ 3.14159",
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


def test_languages_of_single_sentences(scanner: Scanner) -> None:
    raws = [text.encode() for text in ARTICLE.values()]
    found = scanner.scan(b"".join(raws), np.cumsum([len(raw) for raw in raws]), EVERYTHING)
    names = [LANGUAGES[n] for n in language_of(found.classes, found.languages, found.words)]
    assert names == list(ARTICLE)


def test_each_language_has_words_that_only_it_has(scanner: Scanner) -> None:
    assert len(set(LANGUAGES)) == len(LANGUAGES)


def mojibake(scanner: Scanner, text: str) -> int:
    raw = text.encode()
    return int(scanner.scan(raw, np.array([len(raw)]), EVERYTHING).mojibake[0])


@pytest.mark.parametrize("text", ["don’t", "Ärger, Öl", "naïve café", "今天天气", "Привет", "😀"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_read_byte_by_byte(scanner: Scanner, text: str, encoding: str) -> None:
    """The five bytes that Windows-1252 lacks become control characters, as browsers read them."""
    one_by_one = (bytes([byte]) for byte in text.encode())
    misread = "".join(byte.decode(encoding, "ignore") or chr(byte[0]) for byte in one_by_one)
    assert mojibake(scanner, misread) == sum(char > "\x7f" for char in text)


@pytest.mark.parametrize(
    "text",
    [
        "Vive la « liberté\xa0», l’« égalité\xa0» ; la fraternité\xa0: où\xa0? LIBERTÉ\xa0!",
        "«Jeg gikk på», sa han. «Så gikk hun på»; «og alle gikk på».",
        "„Spaß“, sagt er, „macht Spaß”… Groß–klein.",
        "“The café”—they said—“is blasé”… and so on.",
        "À CÔTÉ «CAFÉ» ÉÈÊ° ÀÉ×",
        "A AMANHÃ, A IRMÃ. São João: não, pão.",
    ],
)
def test_sound_text_with_accents_and_quotes(scanner: Scanner, text: str) -> None:
    assert mojibake(scanner, text) == 0


def add(lines: RepeatedLines, scanner: Scanner, *texts: str) -> None:
    raws = [text.encode() for text in texts]
    data = b"".join(raws)
    ends = np.cumsum([len(raw) for raw in raws])
    lines.add(data, scanner.scan(data, ends, EVERYTHING))


def test_lines_are_counted_once_a_document(scanner: Scanner) -> None:
    lines = RepeatedLines()
    menu, rare = "Home | About us | Contact", "这一行只在少数几个地方出现过几次"
    for n in range(30):
        add(lines, scanner, f"{menu}\n{menu}\ntext of its own, number {n}\n", f"  {menu}\t\n")
        if n < COMMON - 1:
            add(lines, scanner, rare)
    (line,) = lines.found().values()
    assert (line.text, line.places, line.n_bytes) == (menu, 60, 60 * len(menu))
    assert lines.found(least=61) == {}
    add(lines, scanner, rare)
    assert {found.text for found in lines.found().values()} == {menu, rare}


def test_what_is_no_line_of_a_menu(scanner: Scanner) -> None:
    """Parts of one endless line are no lines that repeat."""
    lines = RepeatedLines()
    for _ in range(COMMON):
        add(lines, scanner, "ab" * 10_000)
    assert lines.found() == {}


def test_a_long_document_is_many_places(scanner: Scanner) -> None:
    lines = RepeatedLines()
    page = "".join(f"line number {n} of the page, as it is\n" for n in range(600))
    add(lines, scanner, f"A header of every page there is\n{page}" * 12)
    assert "A header of every page there is" in {line.text for line in lines.found().values()}


def test_a_sample_of_passages_keeps_the_shares() -> None:
    rng = np.random.default_rng(0)
    once = rng.integers(0, 2**64, 40_000, dtype=np.uint64)
    text = np.concatenate([once, once[:10_000]])
    passages = Passages(capacity=5_000)
    for chunk in np.array_split(text, 50):
        passages.add(chunk, np.zeros(len(chunk), dtype=np.int64))
    hashes, ends = passages.arrays()
    assert 1_000 < len(hashes) == len(ends) <= 5_000
    assert repeated_share(hashes) == pytest.approx(0.2, abs=0.03)
    assert repeated_share(once) == 0
    assert known_share(hashes[:100], hashes) == 1
    assert known_share(once[:30_000], once[20_000:]) == pytest.approx(1 / 3)
    assert known_share(hashes[:0], hashes) == 0 == known_share(hashes, hashes[:0])


def test_a_text_that_fits_is_sampled_whole() -> None:
    texts = ["a" * 5000, "", "人工智能" * 4000, "end"]
    sample = TextSample(10**6)
    for text in texts:
        sample.add(text)
    assert "".join(sample.texts()) == "".join(texts)
    assert sample.n_bytes == len("".join(texts).encode())


def test_a_sample_is_bounded_and_fair() -> None:
    sample = TextSample(100_000)
    for n in range(3_000):
        sample.add(("even " if n % 2 == 0 else "odd ") * (50 if n % 2 == 0 else 125))
    text = "".join(sample.texts())
    assert 95_000 < len(text) <= 100_000
    assert text.count("odd") * 4 / len(text) == pytest.approx(2 / 3, abs=0.08)


def test_sources_come_back_as_they_were() -> None:
    rng = random.Random(0)
    names = ["a.jsonl:1", "a.jsonl:2", "b.txt", "odd:name:07", "x:٣", "tang:9", "a.jsonl:3", ":5"]
    names += [f"big.jsonl:{rng.randrange(10**9)}" for _ in range(50)]
    sources = Sources()
    for name in names:
        sources.append(name)
    assert [sources[n] for n in range(len(sources))] == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("All rights reserved.\n" + "text " * 500, True),
        ("text " * 500 + "\nWe use of cookies", True),
        ("text " * 300 + "\nlorem ipsum\n" + " text" * 300, False),
        ("正文" * 900 + "\n版权所有 某某公司", True),
        (
            "在上一篇文章里，我们谈到了用户协议和隐私政策为什么难读，许多读者来信说深有同感。" * 3,
            False,
        ),
        ("The court read the terms of service and the privacy policy aloud. " * 5, False),
        ("", False),
    ],
)
def test_phrases_at_the_edges(text: str, expected: bool) -> None:
    assert has_phrase(text) is expected


@pytest.mark.parametrize("ratio", [0.1, 1.0, 1.5, 3.3, 9.0, 16.0])
def test_passes_are_the_inverse_of_what_they_are_worth(ratio: float) -> None:
    tokens = 1_000_000
    plan = plan_passes(round(ratio * tokens / 20), tokens)
    exact = brentq(lambda passes: worth(tokens, passes) - plan.wanted, 1e-6, 1e4)
    assert plan.passes == pytest.approx(exact, rel=1e-6)


def test_no_number_of_passes_is_enough_for_a_large_model() -> None:
    plan = plan_passes(1_000_000, 1_000_000)
    assert plan.passes is None and plan.share == pytest.approx(worth(1, 4) / 20)
    assert plan.fitting == 50_000 and plan.fitting < plan.most < 4 * plan.fitting


def test_four_passes_are_nearly_as_good_as_new_text() -> None:
    """Muennighoff et al. 2023: up to 4 epochs, the loss hardly differs from unique data."""
    assert 0.9 < worth(1, GOOD_PASSES) / GOOD_PASSES < 1
    assert worth(1, 1000) == pytest.approx(16.39, abs=0.01)


def test_tokens_are_counted_in_the_sample_and_scaled() -> None:
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
    found = count_tokens(["ab", "人"], 500, tokenizer)
    assert (found.n, found.bytes_per_token, found.sample_bytes) == (500, 1.0, 5)
