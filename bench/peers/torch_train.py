"""The training step of a Llama-like decoder in PyTorch: the work that compare.sh gives every peer.

usage: torch_train.py bf16|f32 BATCH SEQ LAYERS HIDDEN HEADS FFN VOCAB STEPS [compile]

In the peer's favour: LayerNorm stands for RMSNorm, and there is no rope. bf16 is autocast; AdamW is
fused where torch has that, denormals are flushed. Works from torch 1.13 on. Prints one JSON object;
model FLOPs as docs/formats/flops.md counts them.
"""
import json
import math
import os
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

dtype = sys.argv[1]
batch, seq, layers, hidden, heads, ffn, vocab, steps = map(int, sys.argv[2:10])
compiled = sys.argv[10:] == ["compile"]
fused = {"fused": True} if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4) else {}
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.set_flush_denormal(True)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.gate, self.up = (nn.Linear(hidden, ffn, bias=False) for _ in range(2))
        self.down = nn.Linear(ffn, hidden, bias=False)
        self.register_buffer("seen", torch.tril(torch.ones(seq, seq, dtype=torch.bool)))

    def attention(self, q, k, v):
        if hasattr(F, "scaled_dot_product_attention"):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(hidden // heads)
        return F.softmax(scores.masked_fill(~self.seen, float("-inf")), -1) @ v

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, heads, hidden // heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(self.attention(q, k, v).transpose(1, 2).reshape(b, t, hidden))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.blocks = nn.ModuleList([Block() for _ in range(layers)])
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, vocab, bias=False)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).view(-1, vocab).float(), targets.view(-1))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **fused)
count_matrices = sum(p.numel() for p in model.parameters()) - vocab * hidden
if compiled:
    model = torch.compile(model)
tokens, targets = (torch.randint(0, vocab, (batch, seq)) for _ in range(2))
seconds = []
for _ in range(2 + steps):
    start = time.time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
        loss = model(tokens, targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(time.time() - start)
step_s = statistics.median(seconds[2:])
flops = (6 * count_matrices + 6 * layers * hidden * seq) * batch * seq
print(json.dumps({
    "name": f"PyTorch {torch.__version__.split('+')[0]}" + (" compiled" if compiled else ""),
    "step_s": step_s, "tokens_per_s": batch * seq / step_s,
    "model_flops_per_s": flops / step_s,
    "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
