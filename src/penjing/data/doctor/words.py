"""What the data doctor says, in English and in Chinese."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]
Words = Mapping[str, str]

_PAIRS: dict[str, tuple[str, str]] = {
    # the overview
    "files": ("files", "文件"),
    "files_are": ("{n}, {size}: {encodings}", "{n} 个，{size}：{encodings}"),
    "unreadable_file": ("unreadable", "无法读取"),
    "piped": ("standard input", "标准输入"),
    "comma": (", ", "，"),
    "documents": ("documents", "文档"),
    "documents_are": (
        "{n}: {size}, {characters} characters",
        "{n} 篇：{size}，{characters} 个字符",
    ),
    "validation": ("validation", "验证"),
    "lengths": ("lengths", "长度"),
    "lengths_are": (
        "{shortest} / {median} / {longest} characters: shortest, middle, longest document",
        "{shortest} / {median} / {longest} 个字符：最短、居中、最长的文档",
    ),
    "languages": ("languages", "语言"),
    "languages_are": (
        "{shares} of the bytes, each document as one",
        "{shares}（按字节，整篇文档算一种）",
    ),
    "scripts": ("scripts", "文字"),
    "scripts_are": ("{shares} of the letters", "{shares}（按字母与汉字）"),
    "tokens": ("tokens", "词元"),
    "tokens_are": (
        "about {n}, {per} bytes a token ({tokenizer})",
        "约 {n} 个，每个词元 {per} 字节（{tokenizer}）",
    ),
    "own_tokenizer": (
        "a vocabulary of {vocab}, made of a sample of this text",
        "用本文本的样本得到的词表，{vocab} 个词元",
    ),
    "byte_tokenizer": (
        "bytes: the text is too little for a vocabulary",
        "按字节计：文本太少，不足以得到词表",
    ),
    "given_tokenizer": ("{name}, {vocab} tokens", "{name}，{vocab} 个词元"),
    "model": ("model", "模型"),
    "model_is": (
        "{parameters} parameters: {wanted} tokens would be compute-optimal (20 a parameter)",
        "{parameters} 参数：计算最优需要 {wanted} 个词元（每参数 20 个）",
    ),
    "passes": ("passes", "遍数"),
    "passes_part": (
        "{passes} of one: this text is more than the compute-optimal amount. Going on with all of "
        "it makes the model better still, at more than the least cost",
        "{passes} 遍：文本多于计算最优所需。继续读完全部文本，模型仍会更好，只是计算不再最省",
    ),
    "passes_few": (
        "{passes} over this text; up to 4 are nearly as good as new text",
        "读 {passes} 遍；4 遍以内与新文本几乎等效",
    ),
    "passes_many": (
        "{passes} over this text would be needed. After 4 each teaches less: stop there ({share} "
        "of the optimum), add text, or take a model of {fitting} to {most} parameters",
        "需要读 {passes} 遍。4 遍之后每遍收益递减：可读到 4 遍为止（最优量的 {share}），"
        "或增加文本，或改用 {fitting} 到 {most} 参数的模型",
    ),
    "passes_never": (
        "no number of them makes this text enough. 4 give {share} of the optimum: add text, or "
        "take a model of {fitting} to {most} parameters",
        "读多少遍都不够。4 遍只有最优量的 {share}：请增加文本，"
        "或改用 {fitting} 到 {most} 参数的模型",
    ),
    "fitting": ("fitting", "适合"),
    "fitting_is": (
        "a model of {fitting} parameters with one pass, of {most} with four (compute-optimal)",
        "读一遍适合 {fitting} 参数的模型，读四遍适合 {most} 参数（计算最优）",
    ),
    "speed": ("examined", "检查"),
    "speed_is": ("in {seconds} s, {rate}/s", "用时 {seconds} 秒，{rate}/秒"),
    "more": ("others", "其他"),
    "nothing": ("Nothing was found wrong with this text.", "没有发现问题。"),
    "findings": ("Findings", "发现"),
    "note": ("note", "提示"),
    "warning": ("warning", "警告"),
    "error": ("error", "错误"),
    # findings: what, and what to do
    "unreadable": ("{n} of the files could not be read whole.", "{n} 个文件无法完整读取。"),
    "unreadable_do": (
        "What could be read of them is in the figures above.",
        "能读取的部分已计入以上数字。",
    ),
    "empty": ("{files} without any text.", "{n} 个文件没有文本。"),
    "little": ("There is little text: {bytes}.", "文本很少：{bytes}。"),
    "little_do": (
        "Expect a model to learn it by heart; add text.",
        "模型会把它背下来；请增加文本。",
    ),
    "same": (
        "{documents} ({share}, {bytes}) with the same text as an earlier one.",
        "{n} 篇文档（{share}，{bytes}）与前面的某篇相同。",
    ),
    "same_do": (
        "`penjing data clean` leaves them out; so does `penjing pretrain`.",
        "`penjing data clean` 会去除它们；`penjing pretrain` 也会。",
    ),
    "alike": (
        "{documents} ({share}, {bytes}) nearly the same as an earlier one: {similar} or more of "
        "all runs of five words in the two are in both.",
        "{n} 篇文档（{share}，{bytes}）与前面的某篇几乎相同：两篇的五词片段有 {similar} 以上相同。",
    ),
    "alike_do": (
        "`penjing data clean` leaves them out.",
        "`penjing data clean` 会去除它们。",
    ),
    "passages": (
        "Of the passages (32 words or Han characters) in documents that are no copies, {share} "
        "stood there before.",
        "在不是副本的文档里，{share} 的段落（32 个词或汉字）此前出现过。",
    ),
    "passages_do": (
        "Quotations and set phrases are a few per cent; more makes a model recite.",
        "引文和套话通常占百分之几；更多会让模型照背。",
    ),
    "leak": (
        "Of the validation text, {n} of {validation}, and {passages} of the passages, stand in the "
        "training text.",
        "{validation_n} 篇验证文档中有 {n} 篇、验证段落的 {passages} 出现在训练文本里。",
    ),
    "leak_do": (
        "The validation loss would be too good to be true: `penjing data clean --against` takes "
        "such documents out of the training text.",
        "验证损失会好得不真实：`penjing data clean --against` 可从训练文本中去除这些文档。",
    ),
    "split_leak": (
        "Of the part that `penjing pretrain` would keep for validation, {n} of {validation}, and "
        "{passages} of the passages, stand in the rest.",
        "`penjing pretrain` 留作验证的部分里，{validation_n} 篇中有 {n} 篇、段落的 {passages} "
        "也出现在其余文本中。",
    ),
    "tail_leak": (
        "Of the tail of the longest document, which `penjing pretrain` would keep for validation, "
        "{passages} of the passages stand in the rest.",
        "`penjing pretrain` 会把最长文档的末尾留作验证，其中 {passages} 的段落也出现在其余文本中。",
    ),
    "split_leak_do": (
        "The validation loss would be better than the model: clean the text, or validate on "
        "another one.",
        "验证损失会好于模型的真实水平：请清理文本，或用另外的文本验证。",
    ),
    "passage_leak_do": (
        "The validation loss would be better than the model: validate on another text, or take out "
        "by hand what stands in both. `penjing data clean` compares documents as wholes, and none "
        "of these is a copy.",
        "验证损失会好于模型的真实水平：请用另外的文本验证，或手工去除两处都有的内容。"
        "`penjing data clean` 比较的是整篇文档，而这里没有整篇的副本。",
    ),
    "lines": (
        "{lines} in {least} places or more: {bytes}, {share} of the text.",
        "{n} 行出现在 {least} 处或更多：{bytes}，占文本 {share}。",
    ),
    "lines_do": (
        "`penjing data clean --lines {least}` takes them out, where they are menus and notices.",
        "如果是菜单或声明，可用 `penjing data clean --lines {least}` 去除。",
    ),
    "short": (
        "{documents} ({share}) of less than {bytes}: six words, or ten Han characters.",
        "{n} 篇文档（{share}）不到 {bytes}：十个汉字，或六个英文单词。",
    ),
    "short_do": (
        "`penjing data clean --shortest 10` leaves out what has fewer characters than that.",
        "`penjing data clean --shortest 10` 可去除不到十个字符的文档。",
    ),
    "long": (
        "{documents} ({share}) longer than {bytes}.",
        "{n} 篇文档（{share}）超过 {bytes}。",
    ),
    "long_do": (
        "One text each, or many that lost the borders between them?",
        "是一篇文本，还是许多丢了边界的文本？",
    ),
    "unbroken": (
        "{documents} ({share}) with more than {bytes} without a space.",
        "{n} 篇文档（{share}）有超过 {bytes} 不含空格的内容。",
    ),
    "unbroken_do": (
        "That is encoded data or code made small, not text: `penjing data clean --unbroken 1000` "
        "leaves such documents out.",
        "那是编码数据或压缩过的代码，不是文本：`penjing data clean --unbroken 1000` 可去除。",
    ),
    "control": (
        "{documents} with control characters, {characters} in all.",
        "{n} 篇文档含有控制字符，共 {characters} 个。",
    ),
    "lost": (
        "{documents} with replacement characters (U+FFFD, 锟斤拷), {characters} in all: somebody "
        "decoded them wrongly, and what stood there is lost.",
        "{n} 篇文档含有替换字符（U+FFFD、锟斤拷），共 {characters} 个：曾被错误解码，原文已丢失。",
    ),
    "lost_do": (
        "Go back to the original files, if you can.",
        "如果可能，请回到原始文件。",
    ),
    "invisible": (
        "{documents} with characters that nobody sees (soft hyphens, zero-width spaces, direction "
        "marks), {characters} in all.",
        "{n} 篇文档含有不可见字符（软连字符、零宽空格、方向标记），共 {characters} 个。",
    ),
    "private": (
        "{documents} with characters of private use, which mean nothing outside of one font, "
        "{characters} in all.",
        "{n} 篇文档含有私用区字符，离开特定字体就没有意义，共 {characters} 个。",
    ),
    "no_character": (
        "{documents} with code points that are no characters, {characters} in all.",
        "{n} 篇文档含有非字符码位，共 {characters} 个。",
    ),
    "mojibake": (
        "{documents} that look like UTF-8 read as Latin-1 or Windows-1252 (Ã©, â€™), in "
        "{characters} places.",
        "{n} 篇文档像是 UTF-8 被误作 Latin-1 或 Windows-1252（Ã©、â€™），共 {characters} 处。",
    ),
    "mojibake_do": (
        "Go back to the original files, if you can.",
        "如果可能，请回到原始文件。",
    ),
    "phrase": (
        "{documents} ({share}) with phrases of web pages (cookies, copyright, menus) at the "
        "beginning or the end.",
        "{n} 篇文档（{share}）的开头或结尾有网页套话（Cookie、版权、菜单）。",
    ),
    "phrase_do": (
        "Look at some; `penjing data clean --lines 10` takes out lines that repeat.",
        "请看几篇；`penjing data clean --lines 10` 会去除重复出现的行。",
    ),
    # cleaning
    "clean_same": ("the same text as another", "与别的文档相同"),
    "clean_alike": ("nearly the same as another", "与别的文档几乎相同"),
    "clean_against": ("in the text to keep clear of", "出现在要避开的文本中"),
    "clean_short": ("too short", "太短"),
    "clean_long": ("too long", "太长"),
    "clean_unbroken": ("no text (long runs without a space)", "不是文本（长串无空格）"),
    "clean_empty": ("too little left after trimming", "清理后所剩太少"),
    "taken_documents": (
        "taken out  {counted}, {size}: {why}",
        "去除 {n} 篇，{size}：{why}",
    ),
    "taken_characters": (
        "taken out  {n} {kind} characters, in {counted}",
        "去除 {n} 个{kind}字符，涉及 {documents} 篇文档",
    ),
    "taken_lines": (
        "taken out  {lines} that repeat, {size}, in {counted}",
        "去除 {n} 行重复的行，{size}，涉及 {documents} 篇文档",
    ),
    "taken_bytes": (
        "repaired   {name}: {bytes} left out that were damaged ({encoding})",
        "修复 {name}：去除 {n} 个损坏的字节（{encoding}）",
    ),
    "taken_rows": (
        "repaired   {name}: {lines} left out, no rows of text",
        "修复 {name}：去除 {n} 行，不是文本记录",
    ),
    "kept": (
        "kept       {n} of {all} documents, {size} of {whole}, in {path}",
        "保留 {n} / {all} 篇，{size} / {whole}，写入 {path}",
    ),
    "kind_control": ("control", "控制"),
    "kind_invisible": ("invisible", "不可见"),
    "kind_private": ("private-use", "私用区"),
    "kind_no_character": ("no-character", "非"),
    "kind_lost": ("replacement", "替换"),
}
_PAIRS["tail_leak_do"] = _PAIRS["split_leak_do"]
_CLEAN = (
    "`penjing data clean` takes them out.",
    "`penjing data clean` 会去除它们。",
)
for _kind in ("control", "invisible", "private", "no_character"):
    _PAIRS[f"{_kind}_do"] = _CLEAN

NAMES_ZH = {  # of languages and of scripts
    "Han": "汉字",
    "Latin": "拉丁字母",
    "Hiragana": "平假名",
    "Katakana": "片假名",
    "Hangul": "谚文",
    "Cyrillic": "西里尔字母",
    "unknown": "未知",
    "Chinese": "中文",
    "Chinese (traditional)": "中文（繁体）",
    "Japanese": "日文",
    "Korean": "韩文",
    "English": "英文",
    "German": "德文",
    "French": "法文",
    "Spanish": "西班牙文",
    "Portuguese": "葡萄牙文",
    "Italian": "意大利文",
    "Russian": "俄文",
    "Arabic": "阿拉伯文",
    "Thai": "泰文",
    "Vietnamese": "越南文",
}

WORDS: dict[Language, Words] = {
    "en": {name: pair[0] for name, pair in _PAIRS.items()},
    "zh": {name: pair[1] for name, pair in _PAIRS.items()},
}
