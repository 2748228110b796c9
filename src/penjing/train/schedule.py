"""The learning rate over a run, as a factor of its peak."""

from penjing.train.config import ScheduleConfig


def rate(step: int, steps: int, config: ScheduleConfig) -> float:
    """The factor for step 0 .. steps - 1: up, level, down, in straight lines.

    A level stretch and a linear decay reach a loss at least as low as a cosine, and the level part
    can go on when there is more to learn (Hu et al. 2024, MiniCPM; Hagele et al. 2024).
    """
    rise = min(1.0, (step + 1) / (config.warmup_steps + 1)) if config.warmup_steps else 1.0
    decay_steps = config.decay_fraction * steps
    left = (steps - step) / decay_steps if decay_steps else 1.0
    fall = config.final_fraction + (1 - config.final_fraction) * min(1.0, left)
    return rise * fall
