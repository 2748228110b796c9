"""The training of a tokenizer on the screen: how far it is, and what it learns from."""

from penjing.cli.console import show
from penjing.cli.progress import LIVE_SECONDS, Progress
from penjing.core.events import Event
from penjing.report.units import size


class TokenizerProgress(Progress):
    """Shows "tokenizer" events, and those of reading a text as they always are."""

    def __call__(self, event: Event) -> None:
        if event.kind != "tokenizer" or "phase" not in event.data:
            super().__call__(event)
            return
        data = event.data
        match data["phase"]:
            case "read":
                self._now(f"reading the text, {size(data['bytes'])}")
            case "merge":
                if self.latest.get("merge") is None:
                    self.latest["merge"] = event
                    if data["sampled"] and "read" in data:
                        show(self.console, f"sample     {sampled(data['bytes'], data['read'])}")
                self._now(f"merging, {data['tokens']:,} tokens" if "tokens" in data else "learning")
            case "prune":
                self._now(f"leaving out pieces, {data['pieces']:,} are left")

    def _now(self, line: str) -> None:
        if (now := self._clock()) - self._drawn >= LIVE_SECONDS:
            self._drawn = now
            self._draw(line)


def sampled(n_bytes: int, n_read: int) -> str:
    """What was learned from, and why not from all."""
    return (
        f"{size(n_bytes)} of {size(n_read)}, drawn evenly from the whole text: the memory of "
        "training grows with the words that differ, and in Chinese nearly all do. More with "
        "--sample-bytes"
    )
