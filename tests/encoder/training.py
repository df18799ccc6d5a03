"""Trains small classifiers, for checkpoints whose logits tell texts apart: what bf16, int16 and int8
cost is how often they give another top label than floats.

A text is (ids, label). Debian's PyTorch multiplies by whatever libblas.so.3 is: with libopenblas0
this takes minutes, with the reference implementation (libblas3) hours for larger models."""

import random
import sys
import time

import torch
from torch.nn import functional as F

BATCH = 64


def batches(texts, size):
    for at in range(0, len(texts), size):
        part = texts[at:at + size]
        longest = max(len(ids) for ids, _ in part)
        ids = torch.tensor([i + [0] * (longest - len(i)) for i, _ in part])
        mask = torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i, _ in part])
        yield ids, mask, torch.tensor([g for _, g in part])


def accuracy(model, texts):
    with torch.no_grad():
        right = sum((model(ids, mask).argmax(1) == gold).sum().item() for ids, mask, gold in batches(texts, 256))
    return right / len(texts)


def train(model, texts, dev, epochs, rate=1e-3, seed=1):
    """In place; reports accuracy on `dev` after every epoch to stderr, and returns the last one."""
    for name, parameter in model.named_parameters():
        if "norm" not in name.lower():
            parameter.data *= 0.3 if "embeddings" in name else 0.6
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    steps = epochs * -(-len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    begin, chance, right = time.time(), random.Random(seed), 0
    for epoch in range(epochs):
        # Texts of similar lengths go together, batches in any order.
        order = sorted(texts, key=lambda t: (len(t[0]), chance.random()))
        parts = list(batches(order, BATCH))
        chance.shuffle(parts)
        for ids, mask, gold in parts:
            optimizer.zero_grad()
            F.cross_entropy(model(ids, mask), gold).backward()
            optimizer.step()
            schedule.step()
        right = accuracy(model, dev)
        print(f"epoch {epoch + 1}: accuracy {right:.3f}, {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
    model.eval()
    return right
