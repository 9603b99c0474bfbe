#!/usr/bin/python3
"""Writes tests/golden/models/<family>/: tiny GPT-2, Llama and Qwen2 models with random weights, and
what plain torch (f64) computes for them: logits, losses, gradients, and ten steps of AdamW.

Needs Debian's python3-torch. Run from anywhere; the same files come out each time."""
import json
import math
import os
import struct

import torch

STEPS, LR, CLIP, DECAY, EPS, BETAS = 10, 3e-3, 1.0, 0.1, 1e-4, (0.9, 0.95)
ROWS, SEQ, VOCAB, HIDDEN, HEADS, LAYERS, FFN = 4, 16, 64, 32, 4, 2, 48


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        t = tensors[name].detach().to(torch.float32).contiguous()
        raw = t.numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def make_batch():
    """Row 0 is one document; the others are two, the border moves. A document's last token has no
    target."""
    tokens = torch.randint(0, VOCAB, (ROWS, SEQ))
    positions, segments, targets = (torch.zeros(ROWS, SEQ, dtype=torch.long) for _ in range(3))
    for b in range(ROWS):
        border = SEQ if b == 0 else 3 + 4 * b
        for s in range(SEQ):
            positions[b, s] = s if s < border else s - border
            segments[b, s] = int(s >= border)
            last = s == border - 1 or s == SEQ - 1
            targets[b, s] = -1 if last else tokens[b, s + 1]
    return tokens, positions, segments, targets


def attend(q, k, v, positions, segments):
    """q [b h s d], k and v [b h s d] -> [b s h*d]"""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    same = segments[:, :, None] == segments[:, None, :]
    before = positions[:, :, None] >= positions[:, None, :]
    scores = scores.masked_fill(~(same & before)[:, None], float("-inf"))
    o = torch.softmax(scores, -1) @ v
    return o.transpose(1, 2).flatten(2)


def heads(x, n):
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def layer_norm(x, w, b):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * w + b


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def gpt2_logits(p, batch):
    tokens, positions, segments, _ = batch
    x = p["transformer.wte.weight"][tokens] + p["transformer.wpe.weight"][positions]
    for i in range(LAYERS):
        w = lambda name: p[f"transformer.h.{i}.{name}"]
        h = layer_norm(x, w("ln_1.weight"), w("ln_1.bias"))
        q, k, v = (h @ w("attn.c_attn.weight") + w("attn.c_attn.bias")).split(HIDDEN, -1)
        o = attend(heads(q, HEADS), heads(k, HEADS), heads(v, HEADS), positions, segments)
        x = x + o @ w("attn.c_proj.weight") + w("attn.c_proj.bias")
        h = layer_norm(x, w("ln_2.weight"), w("ln_2.bias"))
        h = gelu(h @ w("mlp.c_fc.weight") + w("mlp.c_fc.bias"))
        x = x + h @ w("mlp.c_proj.weight") + w("mlp.c_proj.bias")
    x = layer_norm(x, p["transformer.ln_f.weight"], p["transformer.ln_f.bias"])
    return x @ p["transformer.wte.weight"].T


def rms_norm(x, w):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6) * w


def rotate(x, positions, theta):
    """x [b h s d]; element i turns with element i + d/2."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = (positions[:, :, None] * frequency)[:, None]
    u, w = x[..., :half], x[..., half:]
    return torch.cat([u * angle.cos() - w * angle.sin(), w * angle.cos() + u * angle.sin()], -1)


def llama_logits(p, batch, kv_heads, theta):
    tokens, positions, segments, _ = batch
    x = p["model.embed_tokens.weight"][tokens]
    for i in range(LAYERS):
        w = lambda name: p[f"model.layers.{i}.{name}"]

        def linear(h, name):
            y = h @ w(name + ".weight").T
            bias = f"model.layers.{i}.{name}.bias"
            return y + p[bias] if bias in p else y

        h = rms_norm(x, w("input_layernorm.weight"))
        q = rotate(heads(linear(h, "self_attn.q_proj"), HEADS), positions, theta)
        k = rotate(heads(linear(h, "self_attn.k_proj"), kv_heads), positions, theta)
        v = heads(linear(h, "self_attn.v_proj"), kv_heads)
        k, v = (t.repeat_interleave(HEADS // kv_heads, 1) for t in (k, v))
        x = x + linear(attend(q, k, v, positions, segments), "self_attn.o_proj")
        h = rms_norm(x, w("post_attention_layernorm.weight"))
        gate = linear(h, "mlp.gate_proj")
        x = x + linear(gate * torch.sigmoid(gate) * linear(h, "mlp.up_proj"), "mlp.down_proj")
    x = rms_norm(x, p["model.norm.weight"])
    return x @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


def gpt2():
    shapes = {"wte.weight": (VOCAB, HIDDEN), "wpe.weight": (SEQ, HIDDEN), "ln_f.weight": (HIDDEN,),
              "ln_f.bias": (HIDDEN,)}
    for i in range(LAYERS):
        for name, shape in {"ln_1": (HIDDEN,), "ln_2": (HIDDEN,),
                            "attn.c_attn": (HIDDEN, 3 * HIDDEN), "attn.c_proj": (HIDDEN, HIDDEN),
                            "mlp.c_fc": (HIDDEN, FFN), "mlp.c_proj": (FFN, HIDDEN)}.items():
            shapes[f"h.{i}.{name}.weight"] = shape
            shapes[f"h.{i}.{name}.bias"] = shape[-1:]
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": LAYERS,
              "n_embd": HIDDEN, "n_head": HEADS, "n_inner": FFN, "n_positions": SEQ,
              "vocab_size": VOCAB, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"}
    return config, {"transformer." + k: v for k, v in shapes.items()}, gpt2_logits


def llama_like(family, architecture, kv_heads, theta, tied, qkv_bias):
    d = HIDDEN // HEADS
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    if not tied:
        shapes["lm_head.weight"] = (VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        for name, shape in {"self_attn.q_proj": (HIDDEN, HIDDEN),
                            "self_attn.k_proj": (kv_heads * d, HIDDEN),
                            "self_attn.v_proj": (kv_heads * d, HIDDEN),
                            "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (FFN, HIDDEN),
                            "mlp.up_proj": (FFN, HIDDEN), "mlp.down_proj": (HIDDEN, FFN),
                            "input_layernorm": (HIDDEN,),
                            "post_attention_layernorm": (HIDDEN,)}.items():
            shapes[layer + name + ".weight"] = shape
            if qkv_bias and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                shapes[layer + name + ".bias"] = shape[:1]
    config = {"model_type": family, "architectures": [architecture], "num_hidden_layers": LAYERS,
              "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_key_value_heads": kv_heads,
              "intermediate_size": FFN, "vocab_size": VOCAB, "max_position_embeddings": 64,
              "rms_norm_eps": 1e-6, "rope_theta": theta, "hidden_act": "silu",
              "tie_word_embeddings": tied}
    return config, shapes, lambda p, batch: llama_logits(p, batch, kv_heads, theta)


def random_parameters(shapes):
    parameters = {}
    for name, shape in sorted(shapes.items()):
        norm = len(shape) == 1 and name.endswith("weight")
        w = torch.randn(shape, dtype=torch.float64) * (0.15 if len(shape) > 1 else 0.1) + norm
        parameters[name] = w.to(torch.float32).to(torch.float64).requires_grad_()
    return parameters


def losses_of(logits, targets):
    there = targets >= 0
    picked = torch.log_softmax(logits, -1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return torch.where(there, -picked, torch.zeros_like(picked)), int(there.sum())


def write_family(folder, seed, config, shapes, logits_of):
    torch.manual_seed(seed)
    batch, p = make_batch(), random_parameters(shapes)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        f.write(json.dumps(config, indent=1) + "\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), p)
    optimizer = torch.optim.AdamW(
        [{"params": [w for w in p.values() if w.dim() > 1], "weight_decay": DECAY},
         {"params": [w for w in p.values() if w.dim() == 1], "weight_decay": 0.0}],
        lr=LR, betas=BETAS, eps=EPS)
    run = {"losses": [], "norms": [], "lr": LR, "steps": STEPS}
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = logits_of(p, batch)
        token_losses, count = losses_of(logits, batch[3])
        loss = token_losses.sum() / count
        loss.backward()
        norm = math.sqrt(sum(float((w.grad ** 2).sum()) for w in p.values()))
        run["losses"].append(float(loss))
        run["norms"].append(norm)
        if step == 0:
            write_safetensors(os.path.join(folder, "gradients.safetensors"),
                              {name: w.grad for name, w in p.items()})
            write_safetensors(os.path.join(folder, "logits.safetensors"), {"logits": logits})
            run["token_losses"] = [round(x, 10) for x in token_losses.flatten().tolist()]
        for w in p.values():
            w.grad *= min(1.0, CLIP / norm)
        optimizer.step()
    write_safetensors(os.path.join(folder, "final.safetensors"), p)
    for name, t in zip(("tokens", "positions", "segments", "targets"), batch):
        run[name] = t.flatten().tolist()
    with open(os.path.join(folder, "run.json"), "w") as f:
        f.write(json.dumps(run, sort_keys=True) + "\n")


def main():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
    write_family(os.path.join(here, "gpt2"), 1, *gpt2())
    write_family(os.path.join(here, "llama"), 2,
                 *llama_like("llama", "LlamaForCausalLM", 2, 10000.0, False, False))
    write_family(os.path.join(here, "qwen2"), 3,
                 *llama_like("qwen2", "Qwen2ForCausalLM", 1, 1000000.0, True, True))


if __name__ == "__main__":
    main()
