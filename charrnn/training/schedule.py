"""Budgets, plans and learning rates, all functions of the step."""

import math

from charrnn.settings.training import TrainingConfig

__all__ = ["Plan", "extended", "learning_rate", "step_limit", "total_at"]

Plan = tuple[tuple[int, int], ...]  # (step, total steps) pairs, as in config.Record

_FINAL_SHARE = 0.02  # of the peak, where the cosine ends


def step_limit(config: TrainingConfig, steps_per_epoch: int) -> int | None:
    """The step at which a budget of steps or of epochs ends, the earlier of them; None with neither."""
    limits = [config.steps] if config.steps else []
    if config.epochs:
        limits.append(max(math.ceil(config.epochs * steps_per_epoch), 1))
    return min(limits, default=None)


def total_at(plan: Plan, step: int) -> int:
    """The planned total at a step: that of the latest change not after it."""
    return next(total for changed, total in reversed(plan) if changed <= step)


def extended(plan: Plan, step: int, seconds: float, time: float | None, limit: int | None) -> Plan:
    """The plan of a run that goes on from `step`, `seconds` into it, with another budget of `time` or a step limit."""
    totals = [] if limit is None else [limit]
    if time is not None:
        totals.append(step + int(max(time - seconds, 0) * step / max(seconds, 1e-3)))
    total = max(min(totals), step)
    return (*(entry for entry in plan if entry[0] < step), (step, total))


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """Linear warm-up (over a tenth of the run at most), then half a cosine, at `step` of `total`, counted from 0."""
    peak = config.learning_rate
    if peak is None:
        raise ValueError("learning_rate is not chosen yet")
    warmup = min(config.warmup_steps, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return peak * (_FINAL_SHARE + (1 - _FINAL_SHARE) * cosine)
