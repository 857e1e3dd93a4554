"""nanoGPT on a CPU, as a program that takes orders: trains, and writes as fast as it can.

With `--nanogpt FOLDER` (a copy of <https://github.com/karpathy/nanoGPT>) the network, its optimiser
and its sampler are nanoGPT's own, from `model.py`; else those below, written after it. The training
loop is that of nanoGPT's `train.py` with the settings that its README names for a CPU.

Orders come on standard input, one a line: `train`; `score START START ...`, the loss of the windows
of the validation text that begin there; or `write ROWS TOKENS`. Answers go to standard
output, one line of JSON each. It needs PyTorch and nothing of seqapps.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# README.md of nanoGPT, "I only have a macbook": config/train_shakespeare_char.py with --device=cpu
# --compile=False --eval_iters=20 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4
# --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0
BLOCK, BATCH, LAYERS, HEADS, WIDTH = 64, 12, 4, 4, 128
ITERATIONS, WARMUP, PEAK, LEAST = 2000, 100, 1e-3, 1e-4
DECAY, BETAS, CLIP = 0.1, (0.9, 0.99), 1.0


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and beside a residual."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.attention = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.wide = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        """(batch, time, width) to the same."""
        rows, steps, _ = x.shape
        heads = (
            self.attention(self.norms[0](x)).view(rows, steps, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        )
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(rows, steps, WIDTH))
        return x + self.narrow(functional.gelu(self.wide(self.norms[1](x))))


class SmallGPT(nn.Module):
    """The network of nanoGPT's `model.py`, as far as this benchmark needs it."""

    def __init__(self, vocabulary):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.places = nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith(("projection.weight", "narrow.weight"))
                scale = 1.0 / math.sqrt(2 * LAYERS) if residual else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)

    def forward(self, ids, targets=None):
        """Logits of all steps and the loss; without targets the logits of the last step alone."""
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        x = self.norm(self.blocks(x))
        if targets is None:
            return x[:, -1:] @ self.tokens.weight.T, None
        logits = x @ self.tokens.weight.T
        return logits, functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def configure_optimizers(self, decay, rate, betas, device):
        """AdamW; matrices decay, vectors do not."""
        matrices = [p for p in self.parameters() if p.dim() > 1]
        vectors = [p for p in self.parameters() if p.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate, betas=betas)

    @torch.no_grad()
    def generate(self, ids, tokens, temperature=1.0, top_k=None):
        """Draws token after token, each from the last `BLOCK` ones, as nanoGPT does."""
        for _ in range(tokens):
            logits, _ = self(ids[:, -BLOCK:])
            logits = logits[:, -1] / temperature
            if top_k is not None:
                least = torch.topk(logits, min(top_k, logits.shape[-1])).values[:, [-1]]
                logits[logits < least] = -float("inf")
            drawn = torch.multinomial(functional.softmax(logits, -1), 1)
            ids = torch.cat((ids, drawn), 1)
        return ids


def build(folder, vocabulary):
    """The network, and what it is called."""
    if not folder:
        return SmallGPT(vocabulary), "stand-in written after nanoGPT"
    sys.path.insert(0, str(folder))
    from model import GPT, GPTConfig

    config = GPTConfig(
        block_size=BLOCK,
        vocab_size=vocabulary,
        n_layer=LAYERS,
        n_head=HEADS,
        n_embd=WIDTH,
        dropout=0.0,
        bias=False,
    )
    return GPT(config), f"nanoGPT from {folder}"


def batch(ids, rng):
    """Random windows and the same one step later."""
    return windows(ids, rng.integers(0, len(ids) - BLOCK, BATCH))


def rate_of(step):
    """Warm-up, then a cosine, as in `train.py`."""
    if step < WARMUP:
        return PEAK * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / (ITERATIONS - WARMUP)
    return LEAST + 0.5 * (1.0 + math.cos(math.pi * share)) * (PEAK - LEAST)


def windows(ids, starts):
    """Windows that begin there, and the same one step later."""
    found = torch.from_numpy(ids[starts[:, None] + np.arange(BLOCK + 1)])
    return found[:, :-1], found[:, 1:]


def score(model, validation, starts):
    """Mean loss per token of windows of the validation text."""
    model.eval()
    with torch.no_grad():
        parts = np.array_split(starts, max(1, len(starts) // BATCH))
        losses = [model(*windows(validation, part))[1].item() * len(part) for part in parts]
    return {"loss_of_random_windows": sum(losses) / len(starts)}


def train(model, training, iterations):
    """Trains."""
    rng = np.random.default_rng(1337)
    optimizer = model.configure_optimizers(DECAY, PEAK, BETAS, "cpu")
    began = time.perf_counter()
    for step in range(iterations):
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step)
        _, loss = model(*batch(training, rng))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return {"seconds": time.perf_counter() - began}


def main():
    """Takes orders until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    wanted = parser.parse_args()
    torch.manual_seed(1337)
    text = wanted.text.read_text(encoding="utf-8")
    number = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = np.array([number[character] for character in text])
    cut = int(0.9 * len(ids))
    model, name = build(wanted.nanogpt, len(number))
    parameters = sum(p.numel() for p in model.parameters())
    answer = {
        "network": name,
        "parameters": parameters,
        "torch": torch.__version__,
        "block": BLOCK,
        "validation_characters": len(ids) - cut,
    }
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        order, *numbers = line.split()
        if order == "train":
            answer = train(model, ids[:cut], wanted.iterations)
        elif order == "score":
            answer = score(model, ids[cut:], np.array(numbers, int))
        else:
            rows, tokens = map(int, numbers)
            model.eval()
            began = time.perf_counter()
            start = torch.full((rows, 1), number["\n"])
            model.generate(start, tokens, temperature=0.8, top_k=200)
            answer = {"seconds": time.perf_counter() - began}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
