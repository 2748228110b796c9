"""GGUF files of gguf's own making, read back; and files that are none."""

import os
import re
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.reader import GgufFile
from penjing.quantization.ggml import BLOCK_TYPES, FLOAT_TYPES, unpack_blocks, unpack_floats


def every_value(path: Path, alignment: int | None = None) -> Path:
    writer = gguf.GGUFWriter(str(path), "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    for name, value in {
        "uint8": 255, "int8": -128, "uint16": 65535, "int16": -32768, "uint32": 2**32 - 1,
        "int32": -(2**31), "uint64": 2**64 - 1, "int64": -(2**63), "float32": 0.5,
        "float64": 1e300, "bool": True, "string": "床前明月光 \0 é",
    }.items():  # fmt: skip
        getattr(writer, f"add_{name}")(f"one.{name}", value)
    writer.add_array("many.texts", ["a", "", "疑是地上霜"])
    writer.add_array("many.whole", [1, -2, 3])
    writer.add_array("many.floats", [0.5, -1.5])
    writer.add_array("many.flags", [True, False, True])
    writer.add_tensor("plain", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("vector", np.arange(5, dtype=np.float16))
    writer.add_tensor("deep", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
def test_every_kind_of_value(tmp_path, alignment):
    path = every_value(tmp_path / "a.gguf", alignment)
    file, reference = GgufFile.open(path), gguf.GGUFReader(path)
    theirs = {k: f.contents() for k, f in reference.fields.items() if not k.startswith("GGUF.")}
    ours = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in file.metadata.items()}
    assert ours == theirs
    for tensor in reference.tensors:
        info = file.tensors[tensor.name]
        assert info.shape == tuple(int(n) for n in reversed(tensor.shape))
        assert (info.start, info.size) == (tensor.data_offset, tensor.n_bytes)
        values = unpack_floats(file.raw(tensor.name), info.type)
        np.testing.assert_array_equal(values.reshape(info.shape), tensor.data)


@pytest.mark.parametrize("kind", list(BLOCK_TYPES))
def test_every_type_of_tensor(make_gguf, kind):
    file = GgufFile.open(
        path := make_gguf("llama", (kind,), c=256, inner=512, layers=1, heads=16, kv=16)
    )
    matrices = [t for t in gguf.GGUFReader(path).tensors if len(t.shape) == 2]
    assert len(matrices) == 8
    for tensor in matrices:
        raw, name = file.raw(tensor.name), file.tensors[tensor.name].type
        got = (
            unpack_floats(raw, name)
            if name in FLOAT_TYPES
            else unpack_blocks(raw, name).dequantize()
        )
        wanted = gguf.quants.dequantize(tensor.data, gguf.GGMLQuantizationType[kind])
        np.testing.assert_array_equal(got, wanted.reshape(got.shape))
        assert name == kind


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    file = GgufFile.open(every_value(tmp_path / "a.gguf"))
    raw = file.raw("plain")
    assert not raw.flags.owndata and not raw.flags.writeable


def patched(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def u64(n: int) -> bytes:
    return struct.pack("<Q", n)


def text(key: str) -> bytes:
    return u64(len(key)) + key.encode()


PLAIN = text("plain") + b"\2\0\0\0"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"GGUF", b"GGML", r"begins with b'GGML'"),
        (b"GGUF\3\0\0\0", b"GGUF\0\0\0\3", "big-endian"),
        (b"GGUF\3\0\0\0", b"GGUF\1\0\0\0", "version 1; versions 2 and 3"),
        (b"GGUF\3\0\0\0" + u64(3), b"GGUF\3\0\0\0" + u64(2**63), "claims .* tensors"),
        (b"GGUF\3\0\0\0" + u64(3), b"GGUF\3\0\0\0" + u64(60000), "rest of the file"),
        (text("one.bool"), u64(2**40) + b"one.bool", "bytes of text"),
        (text("one.bool") + b"\7", text("one.bool") + b"\x63", "no type of value 99"),
        (text("one.bool"), text("one.int8"), "'one.int8'.* there twice"),
        (text("many.whole") + b"\x09\0\0\0\5", text("many.whole") + b"\x09\0\0\0\x09", "arrays of"),
        (b"\5\0\0\0" + u64(3) + b"\1\0\0\0", b"\5\0\0\0" + u64(2**60) + b"\1\0\0\0", "numbers"),
        (u64(15) + "疑是地上霜".encode(), u64(2**62) + "疑是地上霜".encode(), "text 2 claims"),
        ("疑是地上霜".encode(), b"\xff" * 15, "text 2 is not UTF-8"),
        (text("plain") + b"\2", text("plain") + b"\5", "5 dimensions"),
        (text("plain") + b"\2", text("plain") + b"\0", "0 dimensions"),
        (PLAIN + u64(3), PLAIN + u64(0), "not possible"),
        (PLAIN + u64(3), PLAIN + u64(2**63), "data end"),
        (u64(5) + b"\1\0\0\0", u64(5) + b"\x0a\0\0\0", "ggml's type Q2_K cannot be computed"),
        (u64(5) + b"\1\0\0\0", u64(5) + b"\x63\0\0\0", "ggml's type 99"),
        (u64(5) + b"\1\0\0\0", u64(5) + b"\2\0\0\0", r"sizes \[5\] are not possible in Q4_0"),
        (u64(5) + b"\1\0\0\0" + u64(32), u64(5) + b"\1\0\0\0" + u64(33), "no multiple of 32"),
        (u64(5) + b"\1\0\0\0" + u64(32), u64(5) + b"\1\0\0\0" + u64(0), "overlap those of 'plain'"),
        (u64(5) + b"\1\0\0\0" + u64(32), u64(5) + b"\1\0\0\0" + u64(2**63), "data end"),
        (text("vector"), u64(6) + b"plain\0"[:5] + b"\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path, old, new, said):
    path = patched(every_value(tmp_path / "bad.gguf"), old, new)
    with pytest.raises(CheckpointError, match=said) as caught:
        GgufFile.open(path)
    assert "bad.gguf" in str(caught.value)


@pytest.mark.parametrize("alignment", [0, 3, 2**31 + 1])
def test_alignments_that_are_none(tmp_path, alignment):
    path = every_value(tmp_path / "a.gguf", 64)
    key = text("general.alignment") + b"\4\0\0\0"
    patched(path, key + struct.pack("<I", 64), key + struct.pack("<I", alignment))
    with pytest.raises(CheckpointError, match="no power of two"):
        GgufFile.open(path)


def test_every_truncation_is_noticed(tmp_path):
    whole = every_value(tmp_path / "a.gguf").read_bytes()
    end = max(
        info.start + info.size for info in GgufFile.open(tmp_path / "a.gguf").tensors.values()
    )
    path = tmp_path / "cut.gguf"
    for length in range(end):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.gguf"):
            GgufFile.open(path)


def test_what_is_no_file(tmp_path):
    for path, said in (
        (tmp_path / "none.gguf", "There is no file"),
        (tmp_path, "is no file: a GGUF file was expected"),
    ):
        with pytest.raises(CheckpointError, match=said):
            GgufFile.open(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is no file"):
        GgufFile.open(tmp_path / "pipe")


def test_metadata_of_another_type(tmp_path):
    metadata = GgufFile.open(every_value(tmp_path / "a.gguf")).metadata
    assert metadata.whole("one.uint8") == 255 and metadata.whole("absent", None) is None
    assert metadata.number("one.float64") == 1e300 and metadata.number("one.int8") == -128
    assert metadata.flag("one.bool")
    for read, key, said in (
        (metadata.whole, "one.bool", "a whole number, not True"),
        (metadata.flag, "one.uint8", "true or false, not 255"),
        (metadata.text, "one.float32", "a text, not 0.5"),
        (metadata.text, "many.texts", "a text, not a list of texts"),
        (metadata.whole, "many.floats", "a whole number, not ["),
        (metadata.whole, "absent", "'absent' is missing"),
    ):
        with pytest.raises(CheckpointError, match=re.escape(said)):
            read(key)


def test_numbers_are_the_decimals_that_were_meant(tmp_path):
    writer = gguf.GGUFWriter(str(tmp_path / "a.gguf"), "llama")
    writer.add_float32("eps", 1e-6)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert GgufFile.open(tmp_path / "a.gguf").metadata.number("eps") == 1e-6
