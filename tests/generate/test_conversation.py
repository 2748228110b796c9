"""Conversations: turns, their memory, and what happens when the context is full."""

import json

import pytest

from penjing.core.errors import ConfigError, DataError, GenerationError, TokenizerError
from penjing.generate.conversation import Conversation, read_messages
from penjing.generate.load import load
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.chat import TEMPLATES, ChatTemplate
from penjing.tokenizer.chat_ids import encode_chat
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

CONTEXT = 700
SPECIAL = ("<|im_end|>", "<|im_start|>")
GREEDY = {"temperature": 0.0, "max_new_tokens": 12}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights, bytes, and ChatML."""
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte", special_tokens=SPECIAL))
    settings = tokenizer.settings | {"chat_template": TEMPLATES["chatml"]}
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=CONTEXT, n_layer=1, n_embd=32, head_dim=16
    )
    path = tmp_path_factory.mktemp("models") / "chat"
    save_checkpoint(
        path, model=build_model(config, seed=3), tokenizer=Tokenizer(tokenizer.text, settings)
    )
    loaded = load(path, kernels="off")
    yield loaded
    loaded.close()


@pytest.fixture
def talk(model):
    conversation = Conversation(model)
    yield conversation
    conversation.close()


def spoken(reply):
    """The whole answer."""
    return "".join(step.text for step in reply)


def test_an_answer_continues_the_rendered_chat(model, talk):
    reply = talk.say("你好", **GREEDY)
    ids = encode_chat(model.tokenizer, [{"role": "user", "content": "你好"}])
    assert list(reply.steps.prompt_ids) == ids
    text = spoken(reply)
    assert text == reply.text == model.complete(ids, **GREEDY)
    assert talk.messages == [
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": text},
    ]
    assert reply.finish_reason == "length" and reply.n_tokens == 12
    assert 0 < reply.first_seconds < reply.seconds and reply.tokens_per_second > 0


def test_later_turns_read_only_what_is_new(model, talk):
    first = talk.say("a" * 300, **GREEDY)
    spoken(first)
    second = talk.say("and then?", **GREEDY)
    text = spoken(second)
    piece = model.runner.piece
    assert first.n_reused == 0
    assert second.n_reused >= first.n_prompt // piece * piece > 0
    assert text == model.complete(talk_ids(model, talk.messages[:-1]), **GREEDY)


def talk_ids(model, messages):
    return encode_chat(model.tokenizer, messages)


def test_stopped_in_the_middle(talk):
    reply = talk.say("hi", **GREEDY)
    said = "".join(next(reply).text for _ in range(3))
    reply.close()
    assert talk.messages[-1] == {"role": "assistant", "content": said}
    assert reply.finish_reason is None and list(reply) == []


def test_stopped_before_anything_was_said(talk):
    talk.say("hi", **GREEDY).close()
    assert talk.messages == []


def test_there_is_one_answer_at_a_time(talk):
    first = talk.say("one", **GREEDY)
    said = next(first).text
    spoken(talk.say("two", **GREEDY))
    roles = [message["role"] for message in talk.messages]
    assert roles == ["user", "assistant"] * 2 and talk.messages[1]["content"] == said
    assert list(first) == []
    talk.say("three", **GREEDY)  # nobody listens: it was not asked
    open_one = talk.say("four", **GREEDY)
    next(open_one)
    assert [message["content"] for message in talk.messages[::2]] == ["one", "two", "four"]
    talk.reset()
    assert list(open_one) == [] and talk.messages == []


def test_tried_again_in_vain(talk):
    spoken(talk.say("hi", **GREEDY))
    before = talk.messages
    talk.retry(**GREEDY).close()
    assert talk.messages == before
    with pytest.raises(GenerationError):
        talk.retry(temperature=-1)
    assert talk.messages == before


def test_the_same_seed_gives_the_same_answer(talk):
    settings = {"seed": 5, "max_new_tokens": 20, "temperature": 1.0}
    first = spoken(talk.say("hi", **settings))
    assert spoken(talk.retry(**settings)) == first
    assert spoken(talk.retry(**settings | {"seed": 6})) != first
    assert len(talk.messages) == 2


def test_system_reset_and_retry(model):
    talk = Conversation(model, system="be kind")
    with pytest.raises(GenerationError, match="nothing was asked"):
        talk.retry()
    spoken(talk.say("hi", **GREEDY))
    assert [m["role"] for m in talk.messages] == ["system", "user", "assistant"]
    talk.reset()
    assert talk.messages == [{"role": "system", "content": "be kind"}]


def test_the_oldest_turns_are_forgotten_whole(model):
    talk = Conversation(model, system="S" * 20)
    forgotten = []
    for n in range(12):
        reply = talk.say(f"{n:02}" * 30, **GREEDY)
        spoken(reply)
        forgotten.append(reply.forgotten)
        assert reply.n_prompt + 12 <= CONTEXT
        kept = [m["content"] for m in talk.messages]
        assert kept[0] == "S" * 20 and all(len(text) == 60 for text in kept[1::2])
        assert talk.messages[1]["role"] == "user"
        assert kept[-2] == f"{n:02}" * 30
    assert forgotten[:3] == [0, 0, 0] and 0 < forgotten.count(0) - 3 < 9  # some room is made
    assert len(talk.turns) == 2 * (12 - sum(forgotten))


def test_a_message_too_long_for_the_context(talk):
    spoken(talk.say("hi", **GREEDY))
    before = talk.messages
    with pytest.raises(GenerationError, match=r"too long: .* the context holds 700, of which 12"):
        talk.say("x" * CONTEXT, **GREEDY)
    assert talk.messages == before
    spoken(talk.say("hi again", **GREEDY))


@pytest.mark.parametrize(
    ("text", "sampling", "error"),
    [
        ("hi", {"temperature": -1}, GenerationError),
        ("hi", {"temprature": 1}, ConfigError),
        ("a\udcff", {}, TokenizerError),
    ],
)
def test_what_cannot_be_said_was_not_said(talk, text, sampling, error):
    with pytest.raises(error):
        talk.say(text, **sampling)
    assert talk.messages == []


def test_a_borrowed_template_and_its_stop(model):
    template = ChatTemplate.of(model.tokenizer, TEMPLATES["plain"])
    talk = Conversation(model, template=template, stop=("\nUser:",))
    reply = talk.say("hi", **GREEDY)
    assert reply.steps.params.stop == ("\nUser:",)
    assert model.tokenizer.decode(reply.steps.prompt_ids) == "User: hi\n\nAssistant:"


def test_a_model_without_a_template(model, tmp_path):
    plain = Tokenizer(model.tokenizer.text, {"eos_token": "<|im_end|>"})
    save_checkpoint(tmp_path / "base", model=model.model, tokenizer=plain)
    with pytest.raises(TokenizerError, match="no chat template"):
        Conversation(load(tmp_path / "base", kernels="off"))


def test_saved_and_loaded(model, tmp_path):
    talk = Conversation(model, system="你是")
    spoken(talk.say("今天", **GREEDY))
    talk.save(tmp_path / "talk.json")
    assert json.loads((tmp_path / "talk.json").read_bytes()) == {"messages": talk.messages}
    other = Conversation(model)
    other.load(tmp_path / "talk.json")
    assert other.messages == talk.messages and other.system == "你是"
    assert spoken(other.say("?", **GREEDY)) == spoken(talk.say("?", **GREEDY))


def test_what_is_no_unicode_can_be_saved(model, tmp_path):
    talk = Conversation(model, system="a\udcff")
    talk.save(tmp_path / "talk.json")
    assert json.loads((tmp_path / "talk.json").read_bytes()) == {"messages": talk.messages}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", 'no list "messages"'),
        (b'{"messages": 3}', 'no list "messages"'),
        (b'{"messages": [{"role": "user"}]}', "message 0 has no text"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "message 0: .*U\\+D800"),
        (b'{"messages": [{"role": "robot", "content": "a"}]}', "has the role 'robot'"),
        (
            b'{"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}',
            "message 1 has the role 'system'",
        ),
    ],
)
def test_files_that_are_no_conversation(talk, tmp_path, content, said):
    path = tmp_path / "talk.json"
    if content is not None:
        path.write_bytes(content)
    spoken(talk.say("hi", **GREEDY))
    before = talk.messages
    with pytest.raises(DataError, match=said):
        talk.load(path)
    assert talk.messages == before
    with pytest.raises(DataError):
        read_messages(path)
