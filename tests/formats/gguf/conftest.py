"""llama.cpp as the judge: its server on a file, and files small enough to make for a test."""

import json
import random
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest


class LlamaCpp:
    """A llama.cpp server in this process."""

    def __init__(self, path: Path, n_ctx: int) -> None:
        from xllamacpp import CommonParams, Server, ggml_type, llama_flash_attn_type

        params = CommonParams()
        # Keys and values as exact as ours, so that what differs is the model.
        params.cache_type_k = params.cache_type_v = ggml_type.GGML_TYPE_F32
        params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = n_ctx, 1, 0
        params.cpuparams.n_threads = 1
        params.warmup = False
        params.verbosity = -1
        params.port = 0
        params.use_jinja = True
        self.server = Server(params)

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a request; RuntimeError with the server's words if it refuses."""
        request = urllib.request.Request(
            self.server.listening_address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": special}
        ids: list[int] = self.ask("/tokenize", body)["tokens"]
        return ids

    def log_probs(self, ids: list[int], n: int) -> dict[int, float]:
        """The n likeliest tokens after these, each with its log-probability, best first.

        Nothing, if the likeliest is half a character: the server waits for the other half.
        """
        body = {"prompt": ids, "temperature": 0, "n_predict": 1, "n_probs": n}
        body |= {"cache_prompt": True, "ignore_eos": True}
        steps = self.ask("/completion", body).get("completion_probabilities") or [{}]
        return {each["id"]: each["logprob"] for each in steps[0].get("top_logprobs", ())}

    def render(self, messages: list[dict[str, str]], **settings: Any) -> str:
        prompt: str = self.ask("/apply-template", {"messages": messages, **settings})["prompt"]
        return prompt


@pytest.fixture(scope="session")
def llamacpp() -> Iterator[Callable[..., LlamaCpp]]:
    """A server for a file; one for each path, all ended with the tests."""
    servers: dict[tuple[Path, int], LlamaCpp] = {}

    def start(path: Path, n_ctx: int = 256) -> LlamaCpp:
        if (path, n_ctx) not in servers:
            servers[path, n_ctx] = LlamaCpp(path, n_ctx)
        return servers[path, n_ctx]

    yield start
    servers.clear()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A Llama of one narrow layer with random weights and the tokenizer of this metadata."""

    def write(metadata: Mapping[str, Any], name: str = "tiny") -> Path:
        path = tmp_path_factory.mktemp("gguf") / f"{name}.gguf"
        writer = gguf.GGUFWriter(str(path), "llama")
        n, width, inner = len(metadata["tokenizer.ggml.tokens"]), 32, 64
        writer.add_context_length(256)
        writer.add_embedding_length(width)
        writer.add_block_count(1)
        writer.add_feed_forward_length(inner)
        writer.add_head_count(1)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_vocab_size(n)
        for key, value in metadata.items():
            _add(writer, key, value)
        rng = np.random.default_rng(0)
        shapes = {"token_embd": (n, width), "output_norm": (width,), "output": (n, width)}
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.0.{part}"] = (width, width)
        shapes |= {"blk.0.ffn_gate": (inner, width), "blk.0.ffn_up": (inner, width)}
        shapes |= {"blk.0.ffn_down": (width, inner)}
        shapes |= {"blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
        for tensor, shape in shapes.items():
            values = rng.normal(0, 0.02, shape).astype(np.float32)
            writer.add_tensor(f"{tensor}.weight", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


WORDS = """
the of don't We'll CAN'T I'VE 12345 1,234.56 2024年 今天天气不错 人工智能 𠮷野家 龘靐齉 한국어
ひらがな カタカナ العربية עברית Русский Ελληνικά हिन्दी ไทย naïve e\u0301 ﬁ ½ ٣٤ Ⅷ ² <|im_start|>
<|im_end|> <s> </s> <|endoftext|> <think> ▁ Ġ #include x**2 $x+={a:b} http://a.b/c?d=e&f=g ' 's
'S `` ~~ || === -> ﷽
👨\u200d👩\u200d👧 🇨🇳 👍🏽 🎉 ，。！？；：“”（） İ ı ß ǅ ª 㐀 \U00020000
"""
PIECES = WORDS.split()
SPACES = (
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\xa0",
    "\u3000",
    "\u2028",
    "\ufeff",
    "\x85",
)
BLOCKS = (
    *((0x00, 0x7F), (0x80, 0x2FF), (0x300, 0x2FFF), (0x3000, 0x9FFF), (0xA000, 0xD7FF)),
    *((0xE000, 0xFFFF), (0x10000, 0x2FFFF), (0x30000, 0x10FFFF)),
)


def assigned(char: str) -> bool:
    """Whether it has been a character for years: a new one is a letter for one program only."""
    return unicodedata.category(char) != "Cn"


def fuzzed_text(rng: random.Random) -> str:
    """Words of many scripts, code, any characters, control characters, spaces, digits, Han."""

    def some(choose: Callable[[], str], most: int) -> str:
        return "".join(choose() for _ in range(rng.randint(1, most)))

    def anywhere() -> str:
        char = chr(rng.randint(*rng.choice(BLOCKS)))
        return char if assigned(char) else "?"

    kinds: tuple[Callable[[], str], ...] = (
        lambda: some(lambda: rng.choice(PIECES) + rng.choice(("", "", " ", "\n")), 20),
        lambda: some(lambda: rng.choice(PIECES) + rng.choice(("", *SPACES)), 20),
        lambda: some(anywhere, 30),
        lambda: some(lambda: chr(rng.randint(1, 0x7F)), 50),
        lambda: some(lambda: rng.choice((*SPACES, "a", "1", "\x00", "\x04")), 30),
        lambda: some(lambda: rng.choice("0123456789.,- "), 30),
        lambda: some(lambda: chr(rng.randint(0x4E00, 0x9FA5)), 30),
        lambda: some(lambda: rng.choice("'sStTrReEvVmMlLdD aA中1!"), 30),
    )
    return rng.choice(kinds)()


@pytest.fixture(scope="session")
def fuzzed() -> Callable[[int, int], list[str]]:
    """So many texts, always the same for one seed."""
    return lambda seed, n: [fuzzed_text(rng) for rng in [random.Random(seed)] for _ in range(n)]
