"""Encodings that look like ASCII are named; what only resembles them is text."""

import ast
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from penjing.core.errors import DataError
from penjing.data.doctor.cleaning import CleanConfig, clean
from penjing.data.doctor.diagnosis import diagnose
from penjing.data.doctor.survey import survey
from penjing.data.encodings import decode_bytes
from penjing.data.readers import read_documents
from penjing.data.seven_bit import hidden_encoding

CHINESE = "人工智能是计算机科学的一个分支，它研究怎样让机器做人的事。我们在这里学习。\n"
# Text, by the name that Python's codec and iconv share.
TEXTS = {
    "ISO-2022-JP": "吾輩は猫である。名前はまだ無い。\n",
    "ISO-2022-KR": "나는 고양이로소이다.\n",
    "HZ": CHINESE,
    "UTF-7": CHINESE,
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_they_are_named_with_their_place(encoding: str) -> None:
    raw = b"Subject: a letter\n\n" + TEXTS[encoding].encode(encoding)
    raw.decode("ascii")
    with pytest.raises(
        DataError, match=rf"a\.txt, line 3, .* run of {encoding}, an encoding that looks"
    ):
        decode_bytes(raw, "a.txt")


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_command_that_is_told_converts_them(encoding: str) -> None:
    raw = TEXTS[encoding].encode(encoding)
    found = hidden_encoding(raw)
    assert found is not None
    words = shlex.split(found.conversion)
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    done = subprocess.run(words, input=raw, capture_output=True, check=True)
    assert done.stdout.decode("utf-8") == TEXTS[encoding]


def test_iso_2022_cn_of_which_python_has_no_codec() -> None:
    found = hidden_encoding(b"a\x1b$)A\x0e=;;;\x0f\n")
    assert found is not None and (found.encoding, found.at) == ("ISO-2022-CN", 1)


@pytest.mark.parametrize(
    "text",
    [
        '(format t "~{~a~^, ~}" names) ~{name~} ~{item~} ~{user~}\n' * 9,
        "C++ and x+yz-w, a+bcd-e, 1 + 2 = 3, +49-30-1234567, C+++-\n" * 9,
        "+" + "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24+" * 40,
        "\x1b[31mred\x1b[0m and \x1b(B plain, cd ~/a\n" * 9,
    ],
)
def test_code_and_terminal_colours_are_text(text: str) -> None:
    assert decode_bytes(text.encode(), "a.txt") == text


def test_the_sources_of_python_are_text() -> None:
    for path in sorted(Path(ast.__file__).parent.glob("*.py"))[:200]:
        assert hidden_encoding(path.read_bytes()) is None, path


def test_the_doctor_names_them_and_repairs_none(tmp_path: Path) -> None:
    (tmp_path / "hz.txt").write_bytes(CHINESE.encode("hz") * 9)
    (tmp_path / "good.txt").write_text(CHINESE * 9, encoding="utf-8")
    found = survey([tmp_path])
    (told,) = [finding for finding in diagnose(found) if finding.kind == "unreadable"]
    assert "hz.txt, line 1, byte 0: here begins a run of HZ" in told.examples[0]
    assert len(found.documents) == 1
    for config in (CleanConfig(), CleanConfig(repair=True)):
        with pytest.raises(DataError, match="run of HZ"):
            clean([tmp_path], tmp_path / "out.jsonl", config)
    with pytest.raises(DataError, match="run of HZ"):
        read_documents([tmp_path])
