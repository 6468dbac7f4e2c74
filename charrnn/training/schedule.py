"""Budgets, plans and learning rates, all functions of the step."""

import math

from charrnn.settings.training import Plan, TrainingConfig

__all__ = ["NEVER", "extended", "learning_rate", "step_limit", "total_at"]

NEVER = 2**62  # a step that no run comes to

_FINAL_SHARE = 0.02  # of the peak, where the cosine ends


def step_limit(config: TrainingConfig, steps_per_epoch: int) -> int | None:
    """The step at which a budget of steps or of epochs ends, whichever is earlier; None without either."""
    limits = [config.steps] if config.steps else []
    if config.epochs:
        limits.append(max(math.ceil(config.epochs * steps_per_epoch), 1))
    return min(limits, default=None)


def total_at(plan: Plan, step: int) -> int:
    """The planned total at a step, by the latest change of plan up to it."""
    return next(total for changed, total in reversed(plan) if changed <= step)


def extended(plan: Plan, step: int, seconds: float, time: float | None, limit: int | None) -> Plan:
    """The plan of a run that goes on at `step`, after `seconds`, with another budget of `time` or a step limit."""
    totals = [] if limit is None else [limit]
    if time is not None:
        totals.append(step + int(max(time - seconds, 0) * step / max(seconds, 1e-3)))
    total = max(min(totals), step)
    return (*(entry for entry in plan if entry[0] < step), (step, total))


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """The rate at `step` of `total`, from 0: linear warm-up (at most a tenth of the run), then half a cosine."""
    peak = config.learning_rate
    if peak is None:
        raise ValueError("learning_rate is not chosen yet")
    warmup = min(config.warmup_steps, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return peak * (_FINAL_SHARE + (1 - _FINAL_SHARE) * cosine)
