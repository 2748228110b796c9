"""Stop strings: the text ends before the first of them, and not one character of it leaks."""

from collections.abc import Sequence


class StopStrings:
    """Lets text through as soon as it cannot be part of a stop string.

    The text is cut where the first stop string *ends* first; of two that end together, the longer
    one counts. This does not depend on how the text is split into tokens.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.stopped = False  # a stop string was found: nothing comes after it
        self._held = ""  # what may be the beginning of a stop string

    def push(self, text: str) -> str:
        """Add `text`; what is certain now, held-back text included."""
        if self.stopped:
            return ""
        if not self.stops:
            return text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self.stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        certain = len(text) - self._overlap(text)
        self._held = text[certain:]
        return text[:certain]

    def flush(self) -> str:
        """The end of the text: what was held back is no stop string after all."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = {stop: min(len(stop) - 1, len(text)) for stop in self.stops}
        return max(
            (
                n
                for stop, most in longest.items()
                for n in range(1, most + 1)
                if text.endswith(stop[:n])
            ),
            default=0,
        )
