"""`penjing chat`."""

import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from penjing.cli.chat import Chat
from penjing.cli.chat_commands import COMMANDS
from penjing.core.errors import TokenizerError
from penjing.core.events import Event
from penjing.generate.conversation import Conversation
from penjing.generate.load import load
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.chat import TEMPLATES
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

# The kernels are tested elsewhere; here the torch model computes, and says so.

SHORT = ["--max-new-tokens", "6", "--temperature", "0", "--threads", "1"]


pytestmark = [
    pytest.mark.filterwarnings("ignore:PyTorch computes"),
    pytest.mark.usefixtures("torch_alone"),
]


@pytest.fixture(scope="session")
def chat_dir(tmp_path_factory):
    """A model with random weights, bytes, and a chat template."""
    special = ("<|im_end|>", "<|im_start|>")
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte", special_tokens=special))
    settings = tokenizer.settings | {"chat_template": TEMPLATES["chatml"]}
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=256, n_layer=1, n_embd=32, head_dim=16
    )
    path = tmp_path_factory.mktemp("models") / "chat"
    tokenizer = Tokenizer(tokenizer.text, settings)
    save_checkpoint(path, model=build_model(config, seed=3), tokenizer=tokenizer)
    return path


@pytest.fixture
def talk(penjing, chat_dir, monkeypatch):
    """`penjing chat` with these lines on standard input."""

    def run(*lines, words=SHORT, path=chat_dir):
        raw = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        return penjing("chat", str(path), *words)

    return run


def test_each_line_is_a_message(talk, chat_dir):
    result = talk("你好", "", "and then?")
    conversation = Conversation(load(chat_dir, threads=1))
    sampling = {"temperature": 0.0, "max_new_tokens": 6}
    answers = []
    for message in ("你好", "and then?"):
        answers.append("".join(s.text for s in conversation.say(message, **sampling)))
    assert result.code == 0 and result.out == "".join(f"{answer}\n" for answer in answers)
    assert result.err.count("6 tokens, ") == 2 and "first after" in result.err
    assert "seed" in result.err and ">" not in result.out


def test_commands(talk, tmp_path):
    result = talk(
        "hi",
        "/temp 0.5",
        "/temp",
        "/seed 7",
        "/seed auto",
        "/system be kind",
        "/system",
        "/top_k 3",
    )
    assert result.code == 0
    said = result.err.splitlines()[1:]
    assert said == [
        *("temperature: 0.5", "temperature: 0.5", "seed: 7", "seed: a new one each time"),
        *("system: be kind", "system: be kind", "top_k: 3"),
    ]


def test_the_system_message_is_read(talk, tmp_path):
    talk("/system 你是", "hi", "/save a.json")
    talk("hi", "/save b.json", words=[*SHORT, "--system", "你是"])
    a, b = (json.loads((tmp_path / name).read_bytes()) for name in ("a.json", "b.json"))
    assert a == b and a["messages"][0] == {"role": "system", "content": "你是"}
    result = talk("/system none", "/system", words=[*SHORT, "--system", "x"])
    assert result.err.count("There is no system message.") == 2


def test_saved_loaded_reset_and_tried_again(talk, tmp_path):
    first = talk("hi", "/save talk.json", "/retry")
    saved = json.loads((tmp_path / "talk.json").read_bytes())["messages"]
    assert [m["role"] for m in saved] == ["user", "assistant"]
    second = talk("/load talk.json", "/retry", "/reset", "/save empty.json")
    assert "2 messages from talk.json" in second.err
    assert first.out == second.out * 2
    assert json.loads((tmp_path / "empty.json").read_bytes()) == {"messages": []}


def test_a_seed_repeats_an_answer(talk):
    words = ["--max-new-tokens", "20", "--temperature", "1", "--threads", "1"]
    first = talk("hi", words=[*words, "--seed", "9"])
    again = talk("/seed 9", "hi", words=words)
    assert first.out == again.out and "seed 9" in first.err


def test_help_names_every_command(talk):
    result = talk("/help", "/quit", "never said")
    assert all(f"/{name} " in result.err for name in COMMANDS)
    assert result.out == "" and "error" not in result.err


@pytest.mark.parametrize(
    ("line", "said", "code"),
    [
        ("/sed 3", "Unknown command /sed. Did you mean '/seed'? Known: /temp,", 0),
        ("/temp hot", "temperature is a number or auto, not 'hot'", 1),
        ("/seed 1.5", "seed is a whole number or auto, not '1.5'", 1),
        ("/temp -1", "temperature must be", 1),
        ("/top_p 0", "top_p must be", 1),
        ("/save", "Name a file: /save talk.json", 1),
        ("/load nowhere.json", "nowhere.json cannot be read", 1),
        ("/save ~nobody-of-that-name/talk.json", "the home of a user who is unknown", 1),
        ("x" * 300, "too long", 1),
    ],
)
def test_errors_do_not_end_the_chat(talk, line, said, code):
    result = talk(line, "hi")
    assert result.code == code and said in result.err
    assert len(result.out) > 1


def test_a_message_may_begin_with_a_slash(talk, tmp_path):
    talk("//help", "/save talk.json")
    assert json.loads((tmp_path / "talk.json").read_bytes())["messages"][0]["content"] == "/help"


def test_the_oldest_turn_is_forgotten(talk):
    result = talk(*["y" * 60] * 4)
    assert "The context is full: the oldest turn is forgotten." in result.err and result.code == 0


def test_a_model_that_was_not_trained_to_talk(talk, model_dir):
    result = talk("hi", path=model_dir)
    assert result.code == 1 and "no chat template" in result.err and result.out == ""
    assert f"penjing chat {model_dir} --template plain" in result.err
    result = talk("hi", path=model_dir, words=[*SHORT, "--template", "plain"])
    assert result.code == 0 and result.out != ""


def test_a_template_from_a_file(talk, tmp_path):
    (tmp_path / "my.jinja").write_text("{{ messages[0].content }}{{ nobody.knows }}")
    result = talk("hi", words=[*SHORT, "--template", str(tmp_path / "my.jinja")])
    assert result.code == 1 and "line 1: 'nobody' is undefined" in result.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--template", "chatmal"], 1, "Did you mean 'chatml'?"),
        (["--temperature", "-1"], 1, "temperature must be"),
        (["--temprature", "1"], 2, "--temperature"),
        (["--context-length", "0"], 1, "context_length must be"),
    ],
)
def test_errors_before_the_first_message(talk, words, code, said):
    result = talk("hi", words=words)
    assert result.code == code and said in result.err and result.out == ""


def test_no_such_model(penjing):
    result = penjing("chat", "nowhere")
    assert result.code == 1 and "nowhere" in result.err and "smollm2" in result.err


def test_input_that_is_not_utf8(talk):
    result = talk("\ufeffhi", "caf\udce9 \udcff\udcfe")
    assert result.code == 1 and "standard input, line 2, byte 3: byte 0xE9" in result.err
    assert result.out == talk("hi").out


def test_a_system_message_that_is_no_unicode(chat_dir):
    chat = Chat(Conversation(load(chat_dir, threads=1), system="be kind"), {}, name="x")
    with pytest.raises(TokenizerError, match="U\\+DCFF"):
        chat.take("/system a\udcff")
    assert chat.conversation.system == "be kind"


def test_the_prompt_is_not_among_the_answers(chat_dir, monkeypatch, capsys):
    """As with `penjing chat ... > answers.txt`."""
    keyboard = io.StringIO("hi\n")
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", keyboard)
    conversation = Conversation(load(chat_dir, threads=1))
    assert Chat(conversation, {"max_new_tokens": 3}, name="x").run(keyboard) == 0
    shown = capsys.readouterr()
    assert shown.out == conversation.messages[-1]["content"] + "\n"
    assert shown.err.count("> ") == 2


def test_a_download_is_announced(talk, chat_dir, monkeypatch):
    def fetched(name, *, listener):
        listener(Event("corpus", {"title": "a small model", "licence": "free"}))
        return Checkpoint.open(chat_dir)

    monkeypatch.setattr("penjing.generate.load.open_checkpoint", fetched)
    result = talk("hi")
    assert result.err.index("licence    free") < result.err.index("tokens")
    assert "small model" not in result.out


def test_ctrl_c_stops_the_answer_and_not_the_chat(chat_dir, capfd):
    conversation = Conversation(load(chat_dir, threads=1))
    chat = Chat(conversation, {"temperature": 0.0, "max_new_tokens": 50}, name="x")
    reply = conversation.say("hi", **chat.sampling)
    steps = reply.steps

    class Pressed:
        """The user presses Ctrl-C at the third token."""

        prompt_ids, seed, reused = steps.prompt_ids, steps.seed, 0
        close = steps.close

        def __next__(self):
            if len(steps.output_ids) == 2:
                signal.raise_signal(signal.SIGINT)
            return next(steps)

    before = signal.getsignal(signal.SIGINT)
    reply.steps = Pressed()
    chat.answer(reply)
    assert signal.getsignal(signal.SIGINT) is before
    assert reply.n_tokens == 3 and conversation.messages[-1]["content"] == reply.text
    assert "; stopped" in capfd.readouterr().err
    chat.take("go on")
    assert len(conversation.messages) == 4


@pytest.mark.skipif(os.name != "posix", reason="terminals are made another way there")
def test_in_a_terminal(chat_dir):
    """Typed in Chinese in the locale C, answered, stopped with Ctrl-C, left with Ctrl-D."""
    ours, theirs = pty.openpty()
    words = ["chat", str(chat_dir), "--threads", "1", "--temperature", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "penjing", *words, "--max-new-tokens", "8"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "dumb", "PYTHONUTF8": "1", "LC_ALL": "C"},
    )
    os.close(theirs)
    seen = b""

    def until(mark: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 40
        while mark not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    seen += os.read(ours, 4096)
        assert mark in seen, seen
        seen = seen[seen.index(mark) + len(mark) :]

    until(b"Ctrl-D leaves")
    until(b"> ")
    os.write(ours, "今天气\x7f\n".encode())  # a backspace, too
    until(b"8 tokens")
    until(b"> ")
    time.sleep(1)  # readline shows the prompt a little before it listens
    process.send_signal(signal.SIGINT)
    until(b"> ")
    os.write(ours, b"one \\\ntwo\n/save " + str(chat_dir.parent / "t.json").encode() + b"\n")
    until(b"4 messages are in")
    saved = json.loads((chat_dir.parent / "t.json").read_bytes())["messages"]
    assert [m["content"] for m in saved[::2]] == ["今天", "one \ntwo"]
    until(b"> ")
    os.write(ours, b"\x04")
    assert process.wait(timeout=60) == 0
    os.close(ours)


@pytest.mark.network
def test_smollm2_knows_colours(talk):
    words = ["--temperature", "0", "--max-new-tokens", "24", "--threads", "1"]
    result = talk("Name three colours.", path="smollm2", words=words)
    assert result.code == 0 and "Red" in result.out
