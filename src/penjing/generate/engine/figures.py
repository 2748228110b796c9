"""What an engine tells of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineMemory:
    """What the pasts take, in tokens and bytes. Weights come on top."""

    bytes_per_token: int
    cache_tokens: int  # that fit
    lent_tokens: int  # reserved for texts that are running
    idle_tokens: int  # kept for texts that may come; given up when room is needed

    @property
    def cache_bytes(self) -> int:
        """The most that the pasts will ever take."""
        return self.bytes_per_token * self.cache_tokens


@dataclass
class EngineStats:
    """What an engine has done since it was made."""

    passes: int = 0
    rows: int = 0  # tokens that went through the model, wrong guesses too
    tokens: int = 0  # chosen
    reused: int = 0  # tokens of prompts that had been read for another text
    drafted: int = 0  # guesses verified
    accepted: int = 0  # of them right
    finished: int = 0  # requests that came to their end
    closed: int = 0  # that nobody wanted any more
    failed: int = 0
    running: int = 0  # now
    waiting: int = 0  # now
