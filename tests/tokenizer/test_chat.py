"""Chat templates: the text is that of `transformers`, and no template can do harm."""

import random
import re
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from penjing.core.errors import ConfigError, TokenizerError
from penjing.tokenizer.chat import LONGEST, TEMPLATES, ChatTemplate
from penjing.tokenizer.tokenizer import Tokenizer

FILES = sorted((Path(__file__).parent / "templates").glob("*.jinja"))
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": '天气 <b>of</b> a "city"',
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {"id": "abcdefghi", "type": "function"}
CALL["function"] = {"name": "weather", "arguments": {"city": "北京"}}
PIECES = [
    *(
        "今天天气不错",
        "hello",
        "it's <b>&amp;</b>",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "👨‍👩‍👧",
        "\t",
        "  ",
    ),
    *(
        "\n",
        "\n\n",
        "<think>\nhm\n</think>\n\n",
        "</think>",
        "\u2028",
        "a|b",
        "'\"\\",
        "𠮷",
        "\x00",
    ),
]


def text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) + rng.choice(["", " "]) for _ in range(rng.randint(0, 8)))


def conversation(rng: random.Random) -> list[dict[str, object]]:
    """A system message sometimes, and turns; sometimes with a tool's use."""
    messages: list[dict[str, object]] = []
    if rng.random() < 0.4:
        messages.append({"role": "system", "content": text(rng)})
    for _ in range(rng.randint(1, 4)):
        messages.append({"role": "user", "content": text(rng)})
        if rng.random() < 0.2:
            messages.append({"role": "assistant", "content": "", "tool_calls": [CALL]})
            messages.append({"role": "tool", "content": text(rng)})
        messages.append({"role": "assistant", "content": text(rng)})
        if rng.random() < 0.1:
            messages[-1]["reasoning"] = text(rng)
    return messages[:-1] if rng.random() < 0.7 else messages


def settings(rng: random.Random) -> dict[str, object]:
    """What else a caller may say."""
    chosen: dict[str, object] = {"add_generation_prompt": rng.random() < 0.6}
    if rng.random() < 0.3:
        chosen["tools"] = [TOOL] * rng.randint(1, 2)
    if rng.random() < 0.2:
        chosen["documents"] = [{"title": "T", "text": text(rng)}, {"text": text(rng) * 9}]
    if rng.random() < 0.2:
        chosen |= {"enable_thinking": rng.random() < 0.5, "style": "x", "date_string": "1 May"}
    return chosen


def theirs(source: str, messages: object, **chosen: object) -> str:
    (rendered,), _ = render_jinja_template([messages], chat_template=source, **NAMES, **chosen)
    return rendered


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_text_is_that_of_transformers(file):
    source, rng = file.read_text(encoding="utf-8"), random.Random(file.stem)
    template = ChatTemplate(source, NAMES)
    same = refused = 0
    for _ in range(150):
        messages, chosen = conversation(rng), settings(rng)
        try:
            expected = theirs(source, messages, **chosen)
        except Exception as error:
            said = re.escape(str(error)).replace("\\.", "\\.?")
            with pytest.raises(TokenizerError, match=said[:60]):
                template.render(messages, **chosen)
            refused += 1
        else:
            assert template.render(messages, **chosen) == expected
            same += 1
    assert same > 60 and same + refused == 150


@pytest.mark.parametrize("name", ["smollm2", "llama3", "qwen3", "gemma"])
def test_the_last_message_continued(name):
    source = next(file for file in FILES if file.stem == name).read_text(encoding="utf-8")
    template, rng = ChatTemplate(source, NAMES), random.Random(name)
    for _ in range(40):
        messages = conversation(rng)
        if messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": text(rng)})
        try:
            expected = theirs(source, messages, continue_final_message=True)
        except Exception:
            with pytest.raises(TokenizerError):
                template.render(messages, continue_final_message=True)
        else:
            assert template.render(messages, continue_final_message=True) == expected


@pytest.mark.parametrize("name", ["smollm2", "llama3", "gemma", "chatml"])
def test_an_earlier_turn_is_the_beginning_of_the_next(name):
    """So that what was read for one turn serves the next."""
    files = {file.stem: file.read_text(encoding="utf-8") for file in FILES} | dict(TEMPLATES)
    template = ChatTemplate(files[name], NAMES)
    turns = [
        {"role": role, "content": f"{role} {n}"} for n in range(4) for role in ("user", "assistant")
    ]
    for n in range(1, len(turns), 2):
        asked = template.render(turns[:n], add_generation_prompt=True)
        answered = template.render(turns[: n + 2], add_generation_prompt=True)
        assert answered.startswith(asked + turns[n]["content"])


def test_templates_for_models_without_one():
    plain = ChatTemplate(TEMPLATES["plain"])
    assert plain.render(HI, add_generation_prompt=True) == "User: hi\n\nAssistant:"
    expected = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert ChatTemplate(TEMPLATES["chatml"]).render(HI, add_generation_prompt=True) == expected
    with pytest.raises(ConfigError, match="Did you mean 'chatml'"):
        TEMPLATES["chatmal"]


def test_names_of_special_tokens(bpe):
    spec = {"bos_token": {"content": "<|endoftext|>"}, "eos_token": "<|endoftext|>"}
    tokenizer = Tokenizer(bpe.text, spec | {"chat_template": "{{ bos_token }}{{ pad_token }}"})
    assert ChatTemplate.of(tokenizer).render(HI) == "<|endoftext|>"


def test_no_template(bpe):
    with pytest.raises(TokenizerError, match=r"not trained to talk.*chatml, plain"):
        ChatTemplate.of(bpe)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "empty"),
        ("hi", "list of messages"),
        (["hi"], "Message 0 is no object"),
        ([{"content": "hi"}], "Message 0 has no role"),
        ([{"role": "user", "content": 7}], "of the type int"),
        ([{"role": "user", "content": b"hi"}], "of the type bytes"),
        ([*HI, {"role": "user", "content": "a\ud800b"}], "Message 1: .*U\\+D800"),
        ([{"role": "user", "content": "hi", "image": object()}], "type object"),
        ([{"role": "user", "content": None}], "line 1: "),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "line 1: "),
    ],
)
def test_messages_that_are_none(messages, said):
    with pytest.raises(TokenizerError, match=said):
        ChatTemplate(TEMPLATES["chatml"]).render(messages)


def test_a_message_in_itself():
    parts: list[object] = []
    parts.append(parts)
    with pytest.raises(TokenizerError, match="nested too deeply"):
        ChatTemplate(TEMPLATES["chatml"]).render([{"role": "user", "content": parts}])


def test_the_callers_messages_stay_as_they_are():
    messages = [{"role": "assistant", "content": "hi", "reasoning": "hm"}]
    ChatTemplate(TEMPLATES["chatml"]).render(messages, continue_final_message=True)
    assert messages == [{"role": "assistant", "content": "hi", "reasoning": "hm"}]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a\nb\n{% for %}", "damaged, line 3"),
        ("{% for x in y %}", "damaged, line 1"),
        ("\n{{ nobody.knows }}", "fails, line 2: 'nobody' is undefined"),
        ("\n\n{{ raise_exception('only one turn') }}", "refuses .*line 3: only one turn"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ x | pprint }}", "No filter named 'pprint'"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% import 'os' as os %}", "no loader"),
        ("x" * (LONGEST + 1), "at most"),
        *((opening * 3000, "nested too deeply|damaged") for opening in ("{{ (", "{% if 1 %}")),
        ("{{ " + "not " * 20000 + "1 }}", "nested too deeply"),
        ("{% for i in [1] %}" * 25 + "{% endfor %}" * 25, "damaged: too many .* nested blocks"),
        ("{% break %}", "damaged: 'break' outside loop"),
        ("{{ 1e999 }}", "name 'inf' is not defined"),
        ("{{ 'a' | truncate(-5) }}", "expected length"),
        ("{{ cycler() }}", "at least one item"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
    ],
    ids=lambda value: value[:24],
)
def test_damaged_templates(source, said):
    with pytest.raises(TokenizerError, match=said):
        ChatTemplate(source, NAMES).render(HI)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ cycler('a').__init__.__globals__.os }}",
        "{{ (raise_exception | attr('__globals__'))['os'] }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{{ 'a'.encode() }}",
        "{{ (5).to_bytes(9, 'big') }}",
        "{{ '{0.__class__.__mro__}'.format(1) }}",
        "{{ namespace(_x=1) }}",
        "{% set ns = namespace() %}{% set ns.__init__ = 1 %}",
        "{{ strftime_now('%d' * 1000) }}",
    ],
)
def test_the_insides_of_python_are_closed(source):
    with pytest.raises(TokenizerError):
        ChatTemplate(source).render(HI)


BIG = "'a' * 100000"
DOUBLING = (
    "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = DOUBLE %}{% endfor %}"
)
GREEDY = {
    "loops": "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "loops that skip": "{% for i in range(99999) %}{% for j in range(99999) if 0 %}{% endfor %}"
    "{% endfor %}",
    "a range": "{% for i in range(10 ** 9) %}{% endfor %}",
    "recursion": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "a loop of itself": "{% for x in [[1]] recursive %}{{ loop([x, x]) }}{% endfor %}",
    "filters": "{% for i in range(99999) %}{{ range(99999) | map('string') | list | length }}"
    "{% endfor %}",
    "searches": "{% set b = range(99999) | list %}{% for i in range(99999) %}{{ -1 in b }}"
    "{% endfor %}",
    "joined": DOUBLING.replace("DOUBLE", "ns.s ~ ns.s"),
    "added": DOUBLING.replace("DOUBLE", "ns.s + ns.s"),
    "multiplied": "{{ 'a' * 10 ** 10 }}",
    "a long list": "{{ [1] * 10 ** 9 }}",
    "a list of itself": DOUBLING.replace("DOUBLE", "[ns.s, ns.s]") + "{{ ns.s }}",
    "a dictionary of itself": DOUBLING.replace("DOUBLE", "dict(a=ns.s, b=ns.s)") + "{{ ns.s }}",
    "namespaces": "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = [b, b] %}"
    "{% set b.x = [a, a] %}{{ a }}",
    "numbers": DOUBLING.replace("'a'", "3").replace("DOUBLE", "ns.s * ns.s"),
    "powers": "{{ 10 ** (10 ** 10) }}",
    "blocks": "{% set x = 'a' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    "constants": "{% set x %}{% for i in range(99999) %}"
    + "y" * 99999
    + "{% endfor %}{% endset %}",
    "output": "{% for i in range(99999) %}" + "y" * 99999 + "{% endfor %}",
    "center": "{{ 'a' | center(10 ** 9) }}",
    "ljust": "{{ 'a'.ljust(10 ** 9) }}",
    "indent": "{{ ('\\n' * 100000) | indent(9999) }}",
    "replace": "{% set x = BIG %}{{ x | replace('a', x) }}",
    "the method replace": "{% set x = BIG %}{{ x.replace('', x) }}",
    "join": "{{ range(99999) | join(BIG) }}",
    "join of a filter": "{{ range(99999) | map('string') | join(BIG) }}",
    "the method join": "{{ (BIG).join(['b'] * 99999) }}",
    "join by name": "{{ range(9999) | join(d=BIG) }}",
    "batch by name": "{{ [1] | batch(linecount=20000000, fill_with='x') | list }}",
    "slice by name": "{{ [1] | slice(slices=3000000) | list }}",
    "json by name": "{{ range(9999) | list | tojson(separators=(BIG, ':')) }}",
    "many values": "{{ range(99999) | map('string') | map('center', 9999) | list }}",
    "many names": "".join(f"{{% set a{n} = 'b' * 900000 %}}" for n in range(4000)),
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent and star": "{{ '%*d' % (1000000000, 1) }}",
    "format": "{{ '{:1000000000d}'.format(1) }}",
    "format in format": "{{ '{:{}}'.format(1, 1000000000) }}",
    "the filter format": "{{ '%1000000000d' | format(1) }}",
    "json": "{{ [[[1]]] | tojson(indent=1000000000) }}",
    "slice": "{{ [1] | slice(10 ** 9) | list }}",
    "batch": "{{ [1] | batch(10 ** 9, 'x') | list }}",
    "round": "{{ 1.5 | round(10 ** 9, 'ceil') }}",
    "fromkeys": "{{ {}.fromkeys(range(99999), BIG) }}",
}


@pytest.mark.parametrize("name", GREEDY)
def test_work_and_memory_are_bounded(name, monkeypatch):
    """Each would take minutes or gigabytes, if it ended at all."""
    if name != "loops":
        monkeypatch.setattr("penjing.tokenizer.chat.SECONDS", 0.2)
    source = GREEDY[name].replace("BIG", BIG)
    began = time.thread_time()
    with pytest.raises(TokenizerError, match=r"stopped|too big|too deeply|fails"):
        ChatTemplate(source).render(HI)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("name", [name for name in GREEDY if " by name" in name or "many" in name])
def test_memory_is_bounded(name):
    """Measured, as these may end in time and yet take gigabytes."""
    template = ChatTemplate(GREEDY[name].replace("BIG", BIG))
    tracemalloc.start()
    with pytest.raises(TokenizerError, match="stopped"):
        template.render(HI)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000_000


def test_long_conversations_are_no_attack():
    messages = HI * 1500
    for file in FILES:
        if file.stem in ("smollm2", "llama3", "qwen3"):
            template = ChatTemplate(file.read_text(encoding="utf-8"), NAMES)
            assert template.render(messages).count("hi") >= 1500
    big = [{"role": "user", "content": "长" * 3_000_000}]
    assert len(ChatTemplate(TEMPLATES["chatml"]).render(big)) > 3_000_000


def test_threads_do_not_meet():
    template = ChatTemplate("{% for i in range(n) %}{{ i }} {% endfor %}")
    with ThreadPoolExecutor(4) as pool:
        rendered = list(pool.map(lambda n: template.render(HI, n=n), range(64)))
    assert rendered == ["".join(f"{i} " for i in range(n)) for n in range(64)]
