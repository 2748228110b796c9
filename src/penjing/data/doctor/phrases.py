"""Phrases of web pages that are no part of what they say: cookies, menus, copyright."""

PHRASES = (
    "cookie policy",
    "privacy policy",
    "terms of service",
    "terms of use",
    "all rights reserved",
    "use of cookies",
    "uses cookies",
    "accept cookies",
    "enable javascript",
    "subscribe to our newsletter",
    "sign up for our",
    "skip to content",
    "skip to main content",
    "share on facebook",
    "click here to",
    "lorem ipsum",
    "版权所有",
    "未经授权",
    "不得转载",
    "转载请注明",
    "责任编辑",
    "点击查看",
    "点击下载",
    "阅读全文",
    "扫描二维码",
    "扫码关注",
    "关注公众号",
    "微信公众号",
    "上一篇",
    "下一篇",
    "隐私政策",
    "用户协议",
    "京icp备",
)
_HEAD, _TAIL = 400, 600  # characters at a document's beginning and end, where such things stand
_NOTICE = 150  # bytes of a line at most: in a longer one, such a phrase is part of what is said


def has_phrase(text: str) -> bool:
    """Whether one of them stands in a short line near the beginning or the end of a text."""
    short = len(text) <= _HEAD + _TAIL
    edges = (text if short else f"{text[:_HEAD]}\n{text[-_TAIL:]}").lower()
    if not any(map(edges.__contains__, PHRASES)):
        return False
    lines = (line for line in edges.splitlines() if len(line.encode("utf-8")) <= _NOTICE)
    return any(phrase in line for line in lines for phrase in PHRASES)
