"""One run, once its text and its model are there: what it tells, measures, samples and saves."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penjing.core.config import to_dict
from penjing.core.types import SamplingParams
from penjing.data.batches import RandomWindows, Tokens, windows
from penjing.evaluate.baselines import baselines
from penjing.evaluate.loss import LossReport
from penjing.evaluate.overlap import overlap
from penjing.generate.load import DEFAULTS
from penjing.generate.single import generate
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.memory import peak_memory
from penjing.model.saving import save_checkpoint
from penjing.report.run import write_report
from penjing.train.checkpoints import TRAINING, Checkpoints
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.flops import flops_per_token, matmul_peak
from penjing.train.health import look
from penjing.train.loop import Outcome, train
from penjing.train.objectives import NextToken
from penjing.train.parallel.distributed import SINGLE, World
from penjing.train.parallel.replica import replicate
from penjing.train.parent import Origin
from penjing.train.prepare import Prepared, tell_model
from penjing.train.progress import Hooks, Scale, Snapshot
from penjing.train.run import Journal, Run
from penjing.train.scaling import expected
from penjing.train.state import TrainingState, save_state
from penjing.train.transfer import comparison

EVAL_TOKENS = 8192  # tokens of one forward pass in evaluation
HEALTH_TOKENS = 4096  # that must leave a neuron asleep before it counts as dead
SHOWN_TOKENS = 40  # of a row that broke a step


def checkpoints_of(run: Path, config: PretrainConfig) -> Checkpoints:
    """The checkpoints of a run, kept as its settings say."""
    return Checkpoints(run, keep=config.train.keep, every=config.train.save_every)


class Work:
    """One run, once its text and its model are there."""

    def __init__(
        self,
        config: PretrainConfig,
        prepared: Prepared,
        model: LanguageModel,
        out: Path,
        tell: Journal,
        world: World = SINGLE,
        *,
        micro_batch_size: int = 0,
    ) -> None:
        self.config, self.prepared, self.model = config, prepared, model
        self.out, self.tell, self.world = out, tell, world
        self._train = replace(config.train, micro_batch_size=micro_batch_size)
        self._began = time.perf_counter()
        self._seconds_before = 0.0  # that earlier processes worked on this run
        self._checkpoints = checkpoints_of(out, config)
        generator = torch.Generator().manual_seed(config.train.seed + 1)
        length = model.config.context_length
        source = prepared.transfer.windows(config) if prepared.transfer else RandomWindows
        curriculum = Curriculum(prepared.training, config.train, length, generator, source)
        self._objective = NextToken(curriculum)
        self._before: dict[str, float] = {}  # bits per byte of each text before the first step
        self._scale = Scale()

    def begin(self) -> None:
        """Tell what will be done, and see that samples can be drawn."""
        tell_model(self.model, self.tell)
        self._generate(self.model).close()
        plan = self._plan()
        self._scale = Scale(
            bytes_per_token=plan["bytes_per_token"],
            flops_per_token=cache(partial(flops_per_token, self.model.config)),
            peak_flops=plan["peak_flops"],
        )
        self.tell("start", **plan)

    def run(self, state: TrainingState | None = None, *, restore_data: bool = True) -> Run:
        """Train, from `state` on if there is one."""
        self._replica = replicate(self.model, self.config.train, self.world)
        self._before = state.counters["before"] if state else self._measure()
        self._seconds_before = state.counters["total_seconds"] if state else 0.0
        outcome = train(
            self.model,
            self._objective,
            self._train,
            self._hooks(),
            resume=state,
            restore_data=restore_data,
            replica=self._replica,
        )
        if self.world.is_main and not outcome.interrupted:  # a kill may have come before
            self._checkpoints.tidy(outcome.steps, best=outcome.best_step, is_last=True)
        if self.prepared.transfer and not outcome.interrupted:
            rows = comparison(self._before, self._measure(outcome.report))
            self.tell("transfer", rows=rows, note=self.prepared.transfer.note)
        figures = self._figures(outcome)
        self.tell("done", **figures)
        if self.world.is_main:
            write_report(self.out)
        return Run(self.out, Checkpoint.open(self.out), figures)

    def _plan(self) -> dict[str, Any]:
        training, validation = self.prepared.training, self.prepared.validation
        per_step = self.config.train.batch_size * self.model.config.context_length
        shape, weight = self.model.config, next(self.model.parameters())
        floor = baselines(training, validation, shape.vocab_size).bits_per_byte()
        tokens = self.config.train.steps * per_step
        epochs = tokens / len(training.ids)
        bytes_per_token = validation.n_bytes / (len(validation.ids) - 1)
        known = {"epochs": epochs, "bytes_per_token": bytes_per_token}
        form = (shape.family, self.config.train.optimizer.name, self.config.train.init)
        band = expected(self.model.n_parameters(), tokens, floor, form=form, **known)
        return {
            "steps": self.config.train.steps,
            "batch_size": self.config.train.batch_size,
            "tokens_per_step": per_step,
            "train_tokens": len(training.ids),
            "validation_tokens": len(validation.ids),
            "epochs": epochs,
            "bytes_per_token": bytes_per_token,
            "baselines": floor,
            "expected": asdict(band) if band and not self.prepared.transfer else None,
            "overlap": overlap(training, validation),
            "flops_per_token": flops_per_token(shape, shape.context_length),
            "peak_flops": matmul_peak(weight.device, weight.dtype),
        }

    def _hooks(self) -> Hooks:
        return Hooks(
            tell=self.tell.emit if self.world.is_main else lambda _event: None,
            evaluate=lambda: self._evaluate(self.prepared.validation),
            sample=self._sample,
            save=self._save,
            load=lambda: self._checkpoints.load_due(self.world),
            health=self._health,
            text=self._text,
            scale=self._scale,
        )

    def _measure(self, report: LossReport | None = None) -> dict[str, float]:
        """Bits per byte of each text that going on from a model is judged by, as the weights are.

        `report` is that of the validation split, if it is known.
        """
        texts = self.prepared.transfer.texts if self.prepared.transfer else {}
        known = {id(self.prepared.validation): report}
        reports = {name: known.get(id(t)) or self._evaluate(t) for name, t in texts.items()}
        return {name: each.bits_per_byte for name, each in reports.items()}

    def _evaluate(self, tokens: Tokens) -> LossReport:
        length = self.model.config.context_length
        batch_size = max(1, EVAL_TOKENS // length)
        return self._replica.evaluate(tokens, context_length=length, batch_size=batch_size)

    def _health(self, norms: Mapping[str, float]) -> dict[str, Any]:
        """Figures of each layer, on the beginning of the validation text."""
        length = self.model.config.context_length
        rows = max(1, HEALTH_TOKENS // length)
        model = self._replica.whole()
        if model is None:
            return {}
        return look(model, norms, next(windows(self.prepared.validation, length, rows)))

    def _text(self, ids: Tensor) -> str:
        """A row of a batch, as far as one wants to read it."""
        return self.prepared.tokenizer.decode(ids[:SHOWN_TOKENS].tolist())

    def _sample(self) -> str:
        model = self._replica.whole()
        return "".join(step.text for step in self._generate(model)) if model is not None else ""

    def _generate(self, model: LanguageModel) -> Any:
        prompt = self.config.train.sample_prompt
        return generate(model, self.prepared.tokenizer, prompt, _sampling(self.config.train))

    def _save(self, snapshot: Snapshot) -> Path:
        figures: dict[str, Any] = {"step": snapshot.step}
        if snapshot.report is not None:
            figures |= {
                "loss": snapshot.report.loss,
                "bits_per_byte": snapshot.report.bits_per_byte,
            }
        origin = self.prepared.transfer.origin if self.prepared.transfer else Origin()
        lineage = Lineage(
            "pretrain",
            settings=to_dict(self.config),
            parent=origin.parent,
            data=self.prepared.fingerprint,
            figures=figures,
        )
        counters = {
            **snapshot.state.counters,
            "data": self.prepared.fingerprint,
            "before": self._before,
            "micro_batch_size": self._train.micro_batch_size,
            "total_seconds": self._total_seconds(),
        }
        state = TrainingState(snapshot.state.tensors, counters)

        model = self._replica.whole()
        if model is None:
            save_state(Path(self.world.agree(None)), state, self.world)
            self.world.barrier()
            return self._checkpoints.folder(snapshot.step)

        def beside(folder: Path) -> None:
            (folder / TRAINING).mkdir()
            self.world.agree(str(folder / TRAINING))
            save_state(folder / TRAINING, state, self.world)

        def write(folder: Path) -> None:
            save_checkpoint(
                folder,
                model=model,
                tokenizer=self.prepared.tokenizer,
                lineage=(*origin.lineage, lineage),
                generation=origin.generation,
                replace=True,
                beside=beside,
            )

        path = self._checkpoints.save(
            snapshot.step, write, best=snapshot.best_step, is_last=snapshot.is_last
        )
        self.world.barrier()
        return path

    def _total_seconds(self) -> float:
        """That all processes worked on this run, one after another."""
        return self._seconds_before + time.perf_counter() - self._began

    def _figures(self, outcome: Outcome) -> dict[str, Any]:
        report = outcome.report
        return {
            "step": outcome.steps,
            "loss": report.loss if report else None,
            "perplexity": report.perplexity if report else None,
            "bits_per_byte": report.bits_per_byte if report else None,
            "best_step": outcome.best_step,
            "best_loss": outcome.best_loss,
            "train_seconds": outcome.seconds,
            "save_seconds": outcome.save_seconds,
            "total_seconds": self._total_seconds(),
            "peak_memory": peak_memory(),
            "interrupted": outcome.interrupted,
            "path": str(self.out),
        }


def _sampling(config: TrainConfig) -> SamplingParams:
    return replace(DEFAULTS, max_new_tokens=config.sample_tokens, seed=config.seed)
