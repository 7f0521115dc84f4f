"""A linear head trained through FeaturePipe, as a user would write it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn

from hapistore_torch import FeaturePipe

from ..catalog import View

EPOCHS = 30
_BATCH = 256
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2


@dataclass(frozen=True, kw_only=True)
class Training:
    """One head's training: accuracy on the held-out subset, and seconds of each epoch."""

    accuracy: float
    epoch_seconds: tuple[float, ...]


def train_head(view: View, *, seed: int, epochs: int = EPOCHS) -> Training:
    """Train a linear head on subset train, and test it on subset test."""
    torch.manual_seed(seed)
    pipe = FeaturePipe(view, subset="train", batch_size=_BATCH, shuffle="global", seed=seed)
    width = view.recipe.shape[0]
    # Features keep the scale of their channel; a head without parameters for it learns slowly.
    head = nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Linear(width, len(pipe.classes)))
    optimiser = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        head.train()
        for features, labels in pipe:
            loss = nn.functional.cross_entropy(head(features), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        seconds.append(time.perf_counter() - started)
    return Training(accuracy=test_head(head, view), epoch_seconds=tuple(seconds))


def test_head(head: nn.Module, view: View) -> float:
    """Share of subset test that the head gets right."""
    head.eval()
    right = rows = 0
    with torch.inference_mode():
        for features, labels in FeaturePipe(view, subset="test", shuffle="none"):
            right += int((head(features).argmax(dim=1) == labels).sum())
            rows += len(labels)
    return right / rows
