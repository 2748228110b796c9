"""The table of studies. A new one is one file, and one line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from penjing.core.table import Table
from penjing.study.parts import Part

if TYPE_CHECKING:
    from penjing.study.bench import Bench

Results = Mapping[str, Any]  # what results.json holds


class Module(Protocol):
    """What the file of a study defines."""

    def measure(self, bench: "Bench", /) -> dict[str, Any]:
        """Do the experiment: {"figures": ..., "timings": ...}, plain values for JSON.

        Figures are the same for the same settings; what is not (seconds, speeds) is a timing.
        """

    def present(self, results: Results, /) -> list[Part]:
        """The report's parts, from what was measured alone."""


@dataclass(frozen=True)
class Study:
    """A named experiment; its module, with torch, is loaded only when it is used."""

    title: str
    title_zh: str
    question: str
    module: str

    def load(self) -> Module:
        return cast(Module, import_module(self.module))


STUDIES: Table[Study] = Table(
    "study",
    {
        "recurrence": Study(
            "RNN, LSTM, Transformer",
            "循环网络与 Transformer",
            "what a recurrent network costs on long texts, and what it forgets",
            "penjing.study.recurrence",
        ),
        "positions": Study(
            "Position encodings",
            "位置编码",
            "what a model knows of order, and what it does beyond the trained length",
            "penjing.study.positions",
        ),
        "ablations": Study(
            "Parts taken out",
            "拆掉一个部件",
            "no causal mask, the residual from the wrong tensor, tying, initialisation",
            "penjing.study.ablations",
        ),
        "optimizers": Study(
            "AdamW and Muon",
            "优化器：AdamW 与 Muon",
            "which optimizer learns more in a step, and in a second",
            "penjing.study.optimizers",
        ),
    },
)
