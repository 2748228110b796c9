"""Encodings that look like ASCII: they write other characters as runs of it, between escapes."""

import re
from dataclasses import dataclass
from itertools import islice

from penjing.data.damage import is_chinese

# ISO 2022 tells with an escape sequence which set the bytes that follow are of (RFC 1468, 1557,
# 1922); no text has one by chance.
_ISO_2022 = re.compile(rb"\x1b\$(?:(?P<kr>\)C)|(?P<cn>\)[AEG]|\*H)|[@AB]|\([@BCD])")
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e])+~\}")  # RFC 1843: GB 2312 without its high bits
_UTF7 = re.compile(rb"\+[A-Za-z0-9+/]{3,}(?![A-Za-z0-9+/])")  # RFC 2152: UTF-16 in Base64
_RUNS = 4096  # that are looked at
# glibc's iconv has no HZ, and Python no ISO-2022-CN.
_BY_PYTHON = (
    'python3 -c "import sys; '
    "sys.stdout.buffer.write(sys.stdin.buffer.read().decode('hz').encode())\""
)


@dataclass(frozen=True)
class Hidden:
    """An encoding that some ASCII bytes are in."""

    encoding: str
    at: int  # where its first run begins

    @property
    def conversion(self) -> str:
        """The command that makes UTF-8 of it, from standard input to standard output."""
        return _BY_PYTHON if self.encoding == "HZ" else f"iconv -f {self.encoding} -t UTF-8"


def hidden_encoding(raw: bytes) -> Hidden | None:
    """The encoding that ASCII bytes are in, if they are in another one.

    Code has `~{` and `+`, too: such runs count only where, decoded, they are plainly Chinese.
    """
    if found := _ISO_2022.search(raw):
        kind = "KR" if found["kr"] else "CN" if found["cn"] else "JP"
        return Hidden(f"ISO-2022-{kind}", found.start())
    for encoding, pattern in (("HZ", _HZ), ("UTF-7", _UTF7)):
        runs = list(islice(pattern.finditer(raw), _RUNS))
        if runs and is_chinese("".join(run[0].decode(encoding, "ignore") for run in runs)):
            return Hidden(encoding, runs[0].start())
    return None
