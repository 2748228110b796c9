"""Many threads with one engine: with a thread of its own, without, and when it is closed."""

import random
import threading
import time

import pytest
from tests.generate.engine.settings import greedy

from penjing.core.errors import BusyError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine.drafters import Lookup
from penjing.generate.engine.engine import Engine
from penjing.generate.single import generate


def test_many_threads_and_one_that_computes(runner, byte_tokenizer):
    alone = [
        list(generate(runner, byte_tokenizer, [i, i + 1], SamplingParams(seed=i, max_new_tokens=9)))
        for i in range(12)
    ]
    said: dict[int, list] = {}
    engine = Engine(runner, byte_tokenizer, max_running=3, pass_tokens=16).start()

    def ask(i: int) -> None:
        said[i] = list(engine.submit([i, i + 1], SamplingParams(seed=i, max_new_tokens=9)))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engine.close()
    assert [said[i] for i in range(12)] == alone


def test_many_threads_without_one(engine):
    said = []

    def ask(i: int) -> None:
        said.append(len(list(engine.submit([i], greedy(8)))))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert said == [8] * 6


def test_readers_come_and_go(exact_runner, byte_tokenizer):
    """Threads that submit, read a little, close, drop or read to the end, all at random."""
    engine = Engine(
        exact_runner,
        byte_tokenizer,
        drafter=Lookup(),
        cache_tokens=100,
        max_running=3,
        max_waiting=5,
        pass_tokens=8,
    ).start()
    wrong: list[object] = []

    def visit(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(6):
            prompt = [rng.randrange(3) for _ in range(rng.randint(1, 20))]
            params = SamplingParams(seed=seed, max_new_tokens=rng.randint(1, 20))
            try:
                text = engine.submit(prompt, params, stop_ids=())
            except BusyError as busy:
                time.sleep(min(0.01, busy.retry_after))
                continue
            read = rng.randint(0, 25)
            said = [step.id for _, step in zip(range(read), text, strict=False)]
            if len(said) != min(read, params.max_new_tokens):
                wrong.append((seed, said))
            if rng.random() < 0.5:
                text.close()

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and not wrong
    engine.close(drain=True)
    assert engine.memory().lent_tokens == 0 and engine.stats().failed == 0


def test_closing_wakes_who_waits_and_takes_no_more(runner, byte_tokenizer):
    slow = runner.forward
    runner.forward = lambda chunks: (time.sleep(0.01), slow(chunks))[1]
    engine = Engine(runner, byte_tokenizer, stop_ids=()).start()
    text = engine.submit([1], greedy(60))
    next(text)
    engine.close()
    with pytest.raises(GenerationError, match="closed before"):
        list(text)
    assert list(text) == []
    with pytest.raises(GenerationError, match="engine is closed"):
        engine.submit([1])
    with pytest.raises(GenerationError, match="engine is closed"):
        engine.start()
    assert engine.memory().lent_tokens == engine.memory().idle_tokens == 0
    engine.close()


@pytest.mark.parametrize("threaded", [True, False])
def test_draining_finishes_what_was_taken(threaded, engine):
    if threaded:
        engine.start()
    texts = [engine.submit([i], greedy(7)) for i in range(6)]
    engine.close(drain=True)
    assert [len(list(text)) for text in texts] == [7] * 6


def test_as_a_context_it_is_closed(runner, byte_tokenizer):
    with Engine(runner, byte_tokenizer, stop_ids=()) as engine:
        text = engine.submit([1], greedy(9))
    with pytest.raises(GenerationError, match="closed before"):
        next(text)
