"""Many texts at once: who waits for whom, what memory is held, and what happens when one leaves."""

import gc
import random
import threading
import time

import pytest

from penjing.core.errors import BusyError, ConfigError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine.drafters import Lookup
from penjing.generate.engine.engine import Engine
from penjing.generate.single import generate


def greedy(n: int, **more: object) -> SamplingParams:
    return SamplingParams(temperature=0, max_new_tokens=n, **more)


@pytest.fixture
def engine(runner, byte_tokenizer) -> Engine:
    return Engine(runner, byte_tokenizer, max_running=4, pass_tokens=16, stop_ids=())


# Passes.


def test_one_pass_gives_each_running_text_a_token(engine):
    texts = [engine.submit([i], greedy(5)) for i in range(4)]
    assert engine.step()
    assert [text._request.n_output for text in texts] == [1] * 4
    assert (engine.stats().passes, engine.stats().rows, engine.stats().tokens) == (1, 4, 4)
    while engine.step():
        pass
    assert engine.stats().passes == 5 and engine.stats().finished == 4
    assert not engine.step()


def test_a_long_prompt_does_not_stall_the_others(engine):
    speaking = engine.submit([1], greedy(30))
    next(speaking)
    engine.submit(list(range(60)), greedy(1))
    for n in range(2, 6):
        engine.step()
        assert speaking._request.n_output == n
    assert engine.stats().rows <= 1 + 4 * 16


def test_a_late_short_prompt_does_not_wait_for_a_long_one(exact_runner, byte_tokenizer):
    engine = Engine(exact_runner, byte_tokenizer, max_running=4, pass_tokens=16)
    long = engine.submit(list(range(60)), greedy(1))
    engine.step()
    late = engine.submit([7] * 6, greedy(1))
    next(late)
    assert engine.stats().passes == 2
    assert long._request.n_output == 0 and long._request.past.length == 26


def test_who_waits_for_a_beginning_that_is_being_read_holds_up_nobody(exact_runner, byte_tokenizer):
    engine = Engine(exact_runner, byte_tokenizer, max_running=4, pass_tokens=8)
    texts = [engine.submit(list(range(60)), greedy(1)) for _ in range(2)]
    engine.step()
    late = engine.submit([7] * 3, greedy(1))
    next(late)
    assert engine.stats().passes == 2
    for text in texts:
        list(text)
    assert texts[1].reused > 40  # it waited too: for the most of it


def test_whole_pieces_take_turns(tiny_runner, byte_tokenizer):
    engine = Engine(tiny_runner("torch"), byte_tokenizer, max_running=3, pass_tokens=8)
    texts = [engine.submit([i] * 33, greedy(1)) for i in range(3)]
    lengths = []
    for _ in range(6):
        engine.step()
        lengths.append([text._request.past.length for text in texts])
    assert sorted(lengths[2]) == [8, 8, 8] and sorted(lengths[5]) == [16, 16, 16]


def test_texts_are_admitted_as_places_become_free(engine):
    texts = [engine.submit([i], greedy(2 + i)) for i in range(6)]
    engine.step()
    assert (engine.stats().running, engine.stats().waiting) == (4, 2)
    engine.step()  # the first ends here
    assert (engine.stats().running, engine.stats().waiting) == (3, 2)
    engine.step()  # the fifth is let in, the second ends
    assert (engine.stats().running, engine.stats().waiting) == (3, 1)
    assert [len(list(text)) for text in texts] == [2, 3, 4, 5, 6, 7]


# Memory.


def test_memory_is_known_before_and_never_exceeded(runner, byte_tokenizer):
    engine = Engine(runner, byte_tokenizer, cache_tokens=70, max_running=8, pass_tokens=16)
    memory = engine.memory()
    assert memory.cache_tokens == 70 and memory.lent_tokens == memory.idle_tokens == 0
    assert memory.cache_bytes == 70 * runner.bytes_per_token == runner.new_past(70).nbytes
    texts = [engine.submit([i] * 20, greedy(11)) for i in range(5)]  # 30 positions each
    most = 0
    while engine.step():
        memory = engine.memory()
        most = max(most, engine.stats().running)
        assert memory.lent_tokens + memory.idle_tokens <= 70
    assert most == 2
    assert all(len(list(text)) == 11 for text in texts)


def test_memory_may_be_given_in_bytes(runner, byte_tokenizer):
    engine = Engine(runner, byte_tokenizer, cache_bytes=70 * runner.bytes_per_token + 1)
    assert engine.memory().cache_tokens == 70


def test_by_default_a_whole_context_fits(runner, byte_tokenizer):
    assert Engine(runner, byte_tokenizer, max_running=1).memory().cache_tokens == 512
    long = runner.config.context_length * 100
    runner.config = type(runner.config)(vocab_size=257, context_length=long)
    assert Engine(runner, byte_tokenizer, max_running=1).memory().cache_tokens == long


def test_a_budget_too_small_for_a_request_says_the_least(engine, runner, byte_tokenizer):
    small = Engine(runner, byte_tokenizer, cache_tokens=10, max_running=2, pass_tokens=16)
    with pytest.raises(GenerationError, match=r"cache of 14 tokens, .* has 10.*cache_tokens=14"):
        small.submit([1] * 5, greedy(10))
    assert len(list(small.submit([1] * 5, greedy(6)))) == 6


def test_the_queue_is_bounded_and_says_when_to_come_again(runner, byte_tokenizer):
    ticks = iter(range(10**6))  # every pass takes a second
    engine = Engine(runner, byte_tokenizer, max_running=1, max_waiting=2, clock=lambda: next(ticks))
    first = engine.submit([1], greedy(20), stop_ids=())
    for _ in range(15):
        next(first)
    others = [engine.submit([2], greedy(3)) for _ in range(2)]
    with pytest.raises(BusyError, match="2 requests are waiting") as busy:
        engine.submit([3], greedy(3))
    assert 3 < busy.value.retry_after <= 5  # 5 tokens are left
    list(first)
    engine.step()
    list(engine.submit([3], greedy(3)))
    assert all(len(list(other)) == 3 for other in others)


def test_memory_is_given_once_and_holds_a_token(runner, byte_tokenizer):
    with pytest.raises(ConfigError, match="cache_tokens or cache_bytes, not both"):
        Engine(runner, byte_tokenizer, cache_tokens=9, cache_bytes=9)
    least = runner.bytes_per_token
    with pytest.raises(ConfigError, match=rf"cache_bytes must be at least {least} \(of one token"):
        Engine(runner, byte_tokenizer, cache_bytes=least - 1)


def test_a_whole_context_fits_in_whole_blocks(tiny_runner, byte_tokenizer):
    runner = tiny_runner("rows", context_length=601)
    runner.block = 16
    engine = Engine(runner, byte_tokenizer, max_running=1, stop_ids=())
    assert engine.memory().cache_tokens == 608
    assert len(list(engine.submit([1] * 600, greedy(60)))) == 2


@pytest.mark.parametrize("threaded", [True, False])
def test_who_gets_no_memory_is_told_and_others_go_on(threaded, engine):
    text = engine.submit([1], greedy(30))
    next(text)
    if threaded:
        engine.start()
    new_past, engine.runner.new_past = engine.runner.new_past, lambda _: [].pop()
    with pytest.raises(IndexError):
        list(engine.submit([2], greedy(9)))
    engine.runner.new_past = new_past
    assert len(list(text)) == 29
    assert len(list(engine.submit([3], greedy(9)))) == 9
    engine.close(drain=True)
    assert engine.stats().failed == 1 and engine.memory().lent_tokens == 0


# Leaving.


def test_dropped_texts_do_not_fill_the_queue(runner, byte_tokenizer):
    engine = Engine(runner, byte_tokenizer, max_waiting=2, stop_ids=())
    for i in range(9):
        engine.submit([i], greedy(3))  # nobody keeps it
        gc.collect()
    assert engine.stats().waiting <= 2


def test_a_closed_text_frees_its_memory_at_once(engine):
    text = engine.submit([1, 2, 3], greedy(50))
    other = engine.submit([4], greedy(5))
    next(text)
    before = engine.memory().lent_tokens
    text.close()
    assert engine.memory().lent_tokens == before - 52
    assert list(text) == [] and engine.stats().closed == 1
    assert len(list(other)) == 5
    waiting = [engine.submit([1], greedy(5)) for _ in range(6)]
    engine.step()
    waiting[5].close()
    waiting[5].close()
    assert engine.stats().waiting == 1
    assert list(waiting[5]) == []


def test_a_dropped_text_is_not_computed_further(engine):
    text = engine.submit([1, 2, 3], greedy(50))
    next(text)
    del text
    gc.collect()
    assert not engine.step()
    assert engine.memory().lent_tokens == 0


# Threads.


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


# Errors.


def test_an_error_of_the_runner_reaches_those_it_concerns(engine):
    text = engine.submit([1], greedy(9))
    next(text)
    forward = engine.runner.forward

    def fail(chunks):
        raise MemoryError("none left")

    engine.runner.forward = fail
    with pytest.raises(MemoryError, match="none left"):
        next(text)
    engine.runner.forward = forward
    assert len(list(engine.submit([1], greedy(9)))) == 9
    assert engine.stats().failed == 1 and engine.memory().lent_tokens == 0


def test_an_interrupt_passes_through_and_leaves_order(engine):
    text = engine.submit([1], greedy(9))
    forward = engine.runner.forward

    def interrupt(chunks):
        raise KeyboardInterrupt

    engine.runner.forward = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(text)
    engine.runner.forward = forward
    with pytest.raises(GenerationError, match="interrupted"):
        next(text)
    assert len(list(engine.submit([1], greedy(9)))) == 9


def test_the_thread_outlives_errors(engine):
    engine.start()
    forward = engine.runner.forward
    engine.runner.forward = lambda chunks: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(engine.submit([1], greedy(9)))
    engine.runner.forward = forward
    assert len(list(engine.submit([1], greedy(9)))) == 9
    engine.close()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([1] * 65, "65 tokens but the context holds 64"),
        ([300], "token 0 is 300"),
        ([1.5], "list of token ids"),
    ],
)
def test_prompts_that_cannot_be_used_leave_the_others_alone(engine, prompt, message):
    text = engine.submit([1], greedy(9))
    next(text)
    with pytest.raises(GenerationError, match=message):
        engine.submit(prompt, greedy(3))
    with pytest.raises(GenerationError, match="'stop' or 'slide'"):
        engine.submit([1], on_overflow="slip")
    with pytest.raises(GenerationError, match="logit_bias"):
        engine.submit([1], SamplingParams(logit_bias={999: 1.0}))
    assert len(list(text)) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_running": 0}, "max_running must be at least 1"),
        ({"max_waiting": 0}, "max_waiting must be at least 1"),
        ({"cache_tokens": 0}, "cache_tokens must be at least 1"),
        ({"max_running": 8, "pass_tokens": 7}, r"pass_tokens must be at least 8 \(a row for each"),
        ({"context_length": -3}, "context_length must be at least 1"),
        ({"context_length": 0}, "context_length must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range(runner, byte_tokenizer, settings, message):
    with pytest.raises(ConfigError, match=message):
        Engine(runner, byte_tokenizer, **settings)


def test_a_shorter_context_by_choice(runner, byte_tokenizer):
    engine = Engine(runner, byte_tokenizer, context_length=10, stop_ids=())
    assert len(list(engine.submit([1] * 8, greedy(50)))) == 3
    with pytest.raises(GenerationError, match="11 tokens but the context holds 10"):
        engine.submit([1] * 11)


def test_an_empty_prompt_begins_with_the_end_token(engine, byte_tokenizer):
    assert engine.submit("", greedy(1)).prompt_ids == (byte_tokenizer.eos_id,)
