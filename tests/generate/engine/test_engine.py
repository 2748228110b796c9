"""Many texts at once: who waits for whom, what memory is held, and what happens when one leaves."""

import gc

import pytest
from tests.generate.engine.settings import greedy

from penjing.core.errors import BusyError, ConfigError, GenerationError
from penjing.generate.engine.engine import Engine

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
    with pytest.raises(BusyError, match="1 running, 2 waiting") as busy:
        engine.submit([3], greedy(3))
    assert 3 < busy.value.retry_after <= 5  # 5 tokens are left
    list(first)
    engine.step()
    list(engine.submit([3], greedy(3)))
    assert all(len(list(other)) == 3 for other in others)


def test_free_places_are_no_queue(engine):
    """Nobody runs before the first pass, but those who come before it have their places."""
    engine.max_waiting = 1
    texts = [engine.submit([i], greedy(2)) for i in range(5)]
    with pytest.raises(BusyError):
        engine.submit([5], greedy(2))
    engine.step()
    with pytest.raises(BusyError, match="4 running, 1 waiting"):
        engine.submit([5], greedy(2))
    assert [len(list(text)) for text in texts] == [2] * 5


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
