"""What was read once is not read again: counted in rows that went through the model."""

import pytest
from tests.generate.engine.settings import greedy

from penjing.generate.engine.engine import Engine
from penjing.generate.engine.prefix_cache import common_prefix
from penjing.generate.single import generate


@pytest.fixture
def engine(exact_runner, byte_tokenizer) -> Engine:
    return Engine(exact_runner, byte_tokenizer, stop_ids=(), max_running=4)


def rows_of(engine: Engine, prompt: list[int], n: int) -> int:
    """Rows computed for one request alone."""
    before = engine.stats().rows
    list(engine.submit(prompt, greedy(n)))
    return engine.stats().rows - before


def test_common_prefix():
    assert common_prefix([], [1]) == common_prefix([2], [1]) == 0
    assert common_prefix([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common_prefix([1, 2, 3], [1, 2, 3, 4]) == 3
    long = list(range(1000))
    for n in (0, 1, 511, 512, 999):
        assert common_prefix(long, [*long[:n], -1, *long[n + 1 :]]) == n


def test_a_second_turn_computes_only_what_is_new(engine):
    prompt = list(range(20))
    first = engine.submit(prompt, greedy(6))
    answer = [step.id for step in first]
    assert engine.stats().rows == 20 + 5  # the last token is not read
    second = prompt + answer + [7, 8, 9]
    text = engine.submit(second, greedy(4))
    assert len(list(text)) == 4
    assert text.reused == 25 and engine.stats().reused == 25
    assert engine.stats().rows == 25 + (29 - 25) + 3
    assert len(engine.cache.idle) == 1  # taken over, not copied


def test_the_same_prompt_again_reads_one_token(engine):
    assert rows_of(engine, list(range(20)), 1) == 20
    assert rows_of(engine, list(range(20)), 1) == 1


def test_a_running_text_is_copied(engine):
    running = engine.submit(list(range(20)), greedy(30))
    next(running)
    beside = engine.submit([*range(18), 99], greedy(2))
    list(beside)
    assert beside.reused == 18
    assert len(list(running)) == 29


@pytest.mark.parametrize("kind", ["torch", "rows"])
def test_many_with_one_long_beginning_read_it_once(kind, tiny_runner, byte_tokenizer):
    engine = Engine(
        tiny_runner(kind, context_length=256), byte_tokenizer, stop_ids=(), pass_tokens=32
    )
    system = list(range(80))
    texts = [engine.submit([*system, 100 + i], greedy(3)) for i in range(6)]
    other = engine.submit([9] * 20, greedy(3))
    assert [len(list(text)) for text in (*texts, other)] == [3] * 7
    again = 5 if kind == "rows" else 8  # they do not wait for the last few
    assert engine.stats().rows == 80 + 6 * (1 + 2) + 5 * again + 20 + 2
    assert [text.reused for text in texts] == [0] + 5 * [80 - again]


def test_a_long_idle_text_is_kept_when_another_branches_off(tiny_runner, byte_tokenizer):
    runner = tiny_runner("rows", context_length=256)
    roomy, tight = (
        Engine(runner, byte_tokenizer, stop_ids=(), max_running=1, cache_tokens=n)
        for n in (400, 105)
    )
    long, branch = list(range(100)), [*range(10), 200]
    for engine in (roomy, tight):
        list(engine.submit(long, greedy(1)))
        assert rows_of(engine, branch, 1) == 1  # 10 of 11 were known
    assert rows_of(roomy, long, 1) == 1
    assert rows_of(tight, long, 1) == 90  # it was cut to the 10 that both have


def test_the_one_used_longest_ago_goes_first(exact_runner, byte_tokenizer):
    engine = Engine(exact_runner, byte_tokenizer, max_running=1, cache_tokens=60, stop_ids=())
    a, b, c = ([start] * 20 for start in (1, 2, 3))
    for prompt in (a, b, c):
        assert rows_of(engine, prompt, 1) == 20
    assert rows_of(engine, a, 1) == 1  # used again: now b is the oldest
    assert rows_of(engine, [4] * 20, 1) == 20  # b goes
    assert rows_of(engine, a, 1) == 1
    assert rows_of(engine, b, 1) == 20
    assert engine.memory().idle_tokens <= 60


def test_room_that_was_reserved_and_not_used_goes_before_texts(tiny_runner, byte_tokenizer):
    runner = tiny_runner("rows", context_length=100)
    engine = Engine(runner, byte_tokenizer, max_running=1, cache_tokens=150)
    prompts = [[start] * 20 for start in range(5)]
    for prompt in prompts:  # each reserves 99 positions, and uses 20
        text = engine.submit(prompt, greedy(80), stop_ids=range(257))
        assert len(list(text)) == 1
    assert engine.memory().idle_tokens <= 150
    again = [engine.submit(prompt, greedy(1)) for prompt in prompts]
    assert [len(list(text)) for text in again] == [1] * 5
    assert [text.reused for text in again] == [0, 0, 19, 19, 19]  # 99 + 2 * 20 fit


def test_it_can_be_left_out(exact_runner, byte_tokenizer):
    engine = Engine(exact_runner, byte_tokenizer, prefix_cache=False)
    assert rows_of(engine, list(range(20)), 1) == 20 == rows_of(engine, list(range(20)), 1)
    assert engine.memory().idle_tokens == 0


def test_inexact_runners_share_whole_pieces_only(tiny_runner, byte_tokenizer):
    runner = tiny_runner("torch")  # pieces of 8
    engine = Engine(runner, byte_tokenizer, stop_ids=())
    prompt = list(range(21))
    answer = [step.id for step in engine.submit(prompt, greedy(9))]
    second = prompt + answer + [5]
    text = engine.submit(second, greedy(3))
    steps = list(text)
    assert text.reused == 16  # of the prompt's 21; the answer was not read in pieces
    assert steps == list(generate(runner, byte_tokenizer, second, greedy(3), stop_ids=()))


def test_what_failed_is_not_shared(engine):
    text = engine.submit(list(range(20)), greedy(9))
    next(text)
    text._request.sampler.choose = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        next(text)
    assert rows_of(engine, list(range(20)), 1) == 20


def test_ones_own_past_is_not_shared(engine, exact_runner):
    past = exact_runner.new_past(40)
    list(engine.submit(list(range(20)), greedy(3), past=past))
    assert past.length == 22
    assert rows_of(engine, list(range(20)), 1) == 20


def test_a_text_that_slid_shares_what_it_holds(engine):
    text = engine.submit([3] * 60, greedy(30), on_overflow="slide")
    ids = [step.id for step in text]
    idle = engine.cache.idle[-1]
    assert idle.shareable == ([3] * 60 + ids)[-1 - len(idle.shareable) : -1]
    assert idle.past.length == len(idle.shareable) < 64
