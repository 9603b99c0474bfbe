#!/usr/bin/python3
"""Writes tests/golden/models/<name>/: tiny models of every family with random weights, and what
Hugging Face transformers (in f64) computes for them: logits, losses, gradients, and ten steps of
AdamW. Each model is also written out here in plain torch, and both must agree. TeleChat, which
transformers does not have, is plain torch alone, after Tele-AI's published configuration and code.

By hand: tests/golden/with_transformers.sh tests/golden/make_model_golden.py [NAME...]
The same files come out each time."""
import json
import math
import os
import struct
import sys

import torch

import old_torch    # noqa: F401, before transformers
import transformers

STEPS, LR, CLIP, DECAY, EPS, BETAS = 10, 3e-3, 1.0, 0.1, 1e-4, (0.9, 0.95)
AGREE = 1e-5    # of the largest value: transformers has some of its sums in f32
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


def attend(q, k, v, positions, segments, window=None):
    """q [b h s d], k and v [b h s d] -> [b s h*d]"""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    same = segments[:, :, None] == segments[:, None, :]
    back = positions[:, :, None] - positions[:, None, :]
    seen = same & (back >= 0) & (back < (window or SEQ))
    scores = scores.masked_fill(~seen[:, None], float("-inf"))
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


def frequencies(d, theta, scaling=None):
    """Radians per position of each pair; `scaling` as in Llama 3.1's config.json."""
    plain = [theta ** (-2 * i / d) for i in range(d // 2)]
    if scaling is None:
        return torch.tensor(plain, dtype=torch.float64)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    scaled = []
    for f in plain:
        turns = scaling["original_max_position_embeddings"] * f / (2 * math.pi)
        keep = 0 if turns < low else 1 if turns > high else (turns - low) / (high - low)
        scaled.append(keep * f + (1 - keep) * f / scaling["factor"])
    return torch.tensor(scaled, dtype=torch.float64)


def rotate(x, positions, frequency):
    """x [b h s d]; element i turns with element i + d/2."""
    half = x.shape[-1] // 2
    angle = (positions[:, :, None] * frequency)[:, None]
    u, w = x[..., :half], x[..., half:]
    return torch.cat([u * angle.cos() - w * angle.sin(), w * angle.cos() + u * angle.sin()], -1)


def linear_of(p, layer):
    def linear(h, name):
        y = h @ p[f"{layer}{name}.weight"].T
        bias = f"{layer}{name}.bias"
        return y + p[bias] if bias in p else y
    return linear


def gated(h, linear):
    gate = linear(h, "mlp.gate_proj")
    return linear(gate * torch.sigmoid(gate) * linear(h, "mlp.up_proj"), "mlp.down_proj")


def llama_logits(p, batch, config):
    """Llama, Mistral, Qwen2 and Qwen3."""
    tokens, positions, segments, _ = batch
    kv_heads, d = config["num_key_value_heads"], config.get("head_dim", HIDDEN // HEADS)
    frequency = frequencies(d, config["rope_theta"], config.get("rope_scaling"))
    x = p["model.embed_tokens.weight"][tokens]
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        linear = linear_of(p, layer)
        h = rms_norm(x, p[layer + "input_layernorm.weight"])
        q = heads(linear(h, "self_attn.q_proj"), HEADS)
        k = heads(linear(h, "self_attn.k_proj"), kv_heads)
        v = heads(linear(h, "self_attn.v_proj"), kv_heads)
        if config["model_type"] == "qwen3":
            q = rms_norm(q, p[layer + "self_attn.q_norm.weight"])
            k = rms_norm(k, p[layer + "self_attn.k_norm.weight"])
        q, k = (rotate(t, positions, frequency) for t in (q, k))
        k, v = (t.repeat_interleave(HEADS // kv_heads, 1) for t in (k, v))
        o = attend(q, k, v, positions, segments, config.get("sliding_window"))
        x = x + linear(o, "self_attn.o_proj")
        x = x + gated(rms_norm(x, p[layer + "post_attention_layernorm.weight"]), linear)
    x = rms_norm(x, p["model.norm.weight"])
    return x @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


def telechat_frequencies(config, d):
    """NTK by steps: for texts up to training_seqlen tokens, from a model first trained on
    base_seqlen."""
    context = math.log(config["training_seqlen"] / config["base_seqlen"], 2) + 1
    alpha = max(2 ** math.ceil(context) - 1, 1)
    return frequencies(d, 10000.0 * alpha ** (d / (d - 2)))


def telechat_logits(p, batch, config):
    tokens, positions, segments, _ = batch
    kv_heads, d = config["num_key_value_heads"], HIDDEN // HEADS
    frequency = telechat_frequencies(config, d)
    x = p["transformer.word_embeddings.weight"][tokens]
    for i in range(LAYERS):
        layer = f"transformer.h.{i}."
        linear = linear_of(p, layer)
        h = rms_norm(x, p[layer + "input_layernorm.weight"])
        q = heads(linear(h, "self_attention.query"), HEADS)
        # For each key/value head in turn its key, then its value.
        mixed = heads(linear(h, "self_attention.key_value"), kv_heads)
        k, v = mixed[..., :d], mixed[..., d:]
        q, k = (rotate(t, positions, frequency) for t in (q, k))
        k, v = (t.repeat_interleave(HEADS // kv_heads, 1) for t in (k, v))
        o = attend(q, k, v, positions, segments)
        x = x + linear(o, "self_attention.dense")
        x = x + gated(rms_norm(x, p[layer + "post_attention_layernorm.weight"]), linear)
    x = rms_norm(x, p["transformer.ln_f.weight"])
    return x @ p["lm_head.weight"].T


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


def llama_like(family, architecture, kv_heads, theta, tied, biased=(), **more):
    """`biased`: ends of the names of the projections that have a bias; `more`: further keys."""
    d = more.get("head_dim", HIDDEN // HEADS)
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    if not tied:
        shapes["lm_head.weight"] = (VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        for name, shape in {"self_attn.q_proj": (HEADS * d, HIDDEN),
                            "self_attn.k_proj": (kv_heads * d, HIDDEN),
                            "self_attn.v_proj": (kv_heads * d, HIDDEN),
                            "self_attn.o_proj": (HIDDEN, HEADS * d), "mlp.gate_proj": (FFN, HIDDEN),
                            "mlp.up_proj": (FFN, HIDDEN), "mlp.down_proj": (HIDDEN, FFN),
                            "input_layernorm": (HIDDEN,),
                            "post_attention_layernorm": (HIDDEN,)}.items():
            shapes[layer + name + ".weight"] = shape
            if name.endswith(tuple(biased)):
                shapes[layer + name + ".bias"] = shape[:1]
        if family == "qwen3":
            shapes[layer + "self_attn.q_norm.weight"] = shapes[
                layer + "self_attn.k_norm.weight"] = (d,)
    config = {"model_type": family, "architectures": [architecture], "num_hidden_layers": LAYERS,
              "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_key_value_heads": kv_heads,
              "intermediate_size": FFN, "vocab_size": VOCAB, "max_position_embeddings": 64,
              "rms_norm_eps": 1e-6, "rope_theta": theta, "hidden_act": "silu",
              "tie_word_embeddings": tied, **more}
    return config, shapes, lambda p, batch: llama_logits(p, batch, config)


def telechat():
    kv_heads, d = 2, HIDDEN // HEADS
    shapes = {"transformer.word_embeddings.weight": (VOCAB, HIDDEN),
              "transformer.ln_f.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        layer = f"transformer.h.{i}."
        for name, shape in {"self_attention.query": (HIDDEN, HIDDEN),
                            "self_attention.key_value": (2 * kv_heads * d, HIDDEN),
                            "self_attention.dense": (HIDDEN, HIDDEN),
                            "mlp.gate_proj": (FFN, HIDDEN), "mlp.up_proj": (FFN, HIDDEN),
                            "mlp.down_proj": (HIDDEN, FFN),
                            "input_layernorm": (HIDDEN,),
                            "post_attention_layernorm": (HIDDEN,)}.items():
            shapes[layer + name + ".weight"] = shape
        for name in ("self_attention.dense", "mlp.down_proj"):
            shapes[layer + name + ".bias"] = (HIDDEN,)
    config = {"model_type": "telechat", "architectures": ["Telechat2ForCausalLM"],
              "n_layer": LAYERS, "hidden_size": HIDDEN, "n_head": HEADS,
              "num_key_value_heads": kv_heads, "ffn_hidden_size": FFN, "vocab_size": VOCAB,
              "layer_norm_epsilon": 1e-6, "seq_length": 64, "training_seqlen": 64,
              "base_seqlen": 16, "embed_layernorm": False, "hidden_dropout": 0.0,
              "attention_dropout": 0.0, "apply_residual_connection_post_layernorm": False,
              "logn": False, "tie_word_embeddings": False}
    return config, shapes, lambda p, batch: telechat_logits(p, batch, config)


class Reference:
    """transformers' model with the parameters; packed documents are run one by one."""

    def __init__(self, config, parameters):
        known = transformers.AutoConfig.for_model(**config)
        known._attn_implementation = "eager"
        self.model = transformers.AutoModelForCausalLM.from_config(known).double().eval()
        self.parameters = dict(self.model.named_parameters())
        assert self.parameters.keys() == parameters.keys()
        with torch.no_grad():
            for name, w in self.parameters.items():
                w.copy_(parameters[name])

    def logits(self, _, batch):
        tokens, _, segments, _ = batch
        rows = []
        for row, marks in zip(tokens, segments):
            documents = row.split(torch.unique_consecutive(marks, return_counts=True)[1].tolist())
            rows.append(torch.cat([self.model(d[None]).logits[0] for d in documents]))
        return torch.stack(rows)


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


def reference_for(name, config, p, batch, logits_of):
    """transformers' parameters and logits, after a look at whether ours in plain torch agree."""
    if config["model_type"] == "telechat":
        print(f"{name}: plain torch")
        return p, logits_of
    reference = Reference(config, p)
    ours, theirs = logits_of(p, batch), reference.logits(None, batch)
    apart = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{name}: transformers {transformers.__version__}, plain torch is {apart:.1e} apart")
    assert apart < AGREE, name
    return reference.parameters, reference.logits


def write_family(folder, seed, config, shapes, plain_logits):
    torch.manual_seed(seed)
    batch, p = make_batch(), random_parameters(shapes)
    p, logits_of = reference_for(os.path.basename(folder), config, p, batch, plain_logits)
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


QKV = ("q_proj", "k_proj", "v_proj")
GOLDENS = {    # name: seed, configuration, shapes, plain torch
    "gpt2": (1, *gpt2()),
    "llama": (2, *llama_like("llama", "LlamaForCausalLM", 2, 10000.0, False)),
    "qwen2": (3, *llama_like("qwen2", "Qwen2ForCausalLM", 1, 1000000.0, True, QKV)),
    # What later Llamas can have.
    "llama3": (4, *llama_like(
        "llama", "LlamaForCausalLM", 2, 500.0, True, ("_proj",), head_dim=12, attention_bias=True,
        mlp_bias=True, rope_scaling={
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32})),
    "mistral": (5, *llama_like("mistral", "MistralForCausalLM", 2, 10000.0, False,
                               sliding_window=5)),
    "qwen3": (6, *llama_like("qwen3", "Qwen3ForCausalLM", 2, 1000000.0, True, head_dim=12,
                             attention_bias=False)),
    "telechat": (7, *telechat()),
}


def main():
    transformers.logging.set_verbosity_error()
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
    for name in sys.argv[1:] or GOLDENS:
        write_family(os.path.join(here, name), *GOLDENS[name])


if __name__ == "__main__":
    main()
