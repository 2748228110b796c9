"""The settings that all studies share. No torch here, so that the command line can show them."""

from dataclasses import dataclass

from penjing.core.errors import ConfigError

MOST_SEEDS = 100


@dataclass(frozen=True)
class Settings:
    """How large a study is, and on what text."""

    quick: bool = False  # a rehearsal in seconds: all that is done is done, but far too little
    seed: int = 0  # the first seed of weights and data
    seeds: int = 3  # repetitions, each with a seed of its own
    sources: tuple[str, ...] = ("corpus:stdlib",)  # text: files, folders, or corpus:NAME

    def check(self) -> None:
        """Raises ConfigError for values that cannot work."""
        if not 0 <= self.seed < 2**62:
            raise ConfigError(f"seed must be at least 0 and below 2**62, got {self.seed}.")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise ConfigError(f"seeds must be from 1 to {MOST_SEEDS}, got {self.seeds}.")
        if not self.sources:
            raise ConfigError("No text was named: give files, a folder, or corpus:NAME.")
