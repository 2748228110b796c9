"""The table of forms: how Hugging Face writes each model family. A new one is one line here."""

from penjing.core.table import Table
from penjing.model import hf_gpt2, hf_llama, hf_recurrent
from penjing.model.hf import HuggingFace

FORMS: Table[HuggingFace] = Table(
    "model family",
    {
        "gpt2": hf_gpt2.GPT2,
        "llama": hf_llama.LLAMA,
        "qwen3": hf_llama.QWEN3,
        "rnn": hf_recurrent.RECURRENT,
        "lstm": hf_recurrent.RECURRENT,
    },
)
