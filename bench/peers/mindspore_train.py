"""The step of torch_train.py in MindSpore, graph mode on the CPU; same arguments, same JSON.

Attention is written out with a mask: MindSpore's flash attention is not there on the CPU. bf16: the
matrix products alone, as far as the CPU has them (left out by compare.sh where it has not).
"""
import json
import math
import os
import resource
import statistics
import sys
import time

os.environ.setdefault("GLOG_v", "3")
import mindspore as ms  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import nn, ops  # noqa: E402

dtype = sys.argv[1]
batch, seq, layers, hidden, heads, ffn, vocab, steps = map(int, sys.argv[2:10])
ms.set_device("CPU")
ms.set_context(mode=ms.GRAPH_MODE)
ms.runtime.dispatch_threads_num(int(os.environ.get("OMP_NUM_THREADS", "2")))
product = ms.bfloat16 if dtype == "bf16" else ms.float32


class Linear(nn.Cell):
    def __init__(self, inputs, outputs):
        super().__init__()
        values = np.random.normal(0, 0.02, (outputs, inputs)).astype(np.float32)
        self.weight = ms.Parameter(ms.Tensor(values))
        self.outputs = outputs

    def construct(self, x):  # [..., inputs] -> [..., outputs]
        rows = ops.reshape(x, (-1, x.shape[-1])).astype(product)
        y = ops.matmul(rows, self.weight.astype(product).T).astype(ms.float32)
        return ops.reshape(y, x.shape[:-1] + (self.outputs,))


class Block(nn.Cell):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm((hidden,)), nn.LayerNorm((hidden,))
        self.qkv, self.out = Linear(hidden, 3 * hidden), Linear(hidden, hidden)
        self.gate, self.up, self.down = Linear(hidden, ffn), Linear(hidden, ffn), Linear(ffn, hidden)
        self.unseen = ms.Tensor(np.triu(np.full((seq, seq), -1e9, np.float32), 1))

    def construct(self, x):
        b, t, _ = x.shape
        qkv = ops.transpose(ops.reshape(self.qkv(self.norm1(x)),
                                        (b, t, 3, heads, hidden // heads)), (2, 0, 3, 1, 4))
        q, k, v = qkv[0].astype(product), qkv[1].astype(product), qkv[2].astype(product)
        scores = ops.BatchMatMul(transpose_b=True)(q, k).astype(ms.float32)
        p = ops.softmax(scores / math.sqrt(hidden // heads) + self.unseen, -1)
        y = ops.BatchMatMul()(p.astype(product), v).astype(ms.float32)
        x = x + self.out(ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (b, t, hidden)))
        h = self.norm2(x)
        return x + self.down(ops.silu(self.gate(h)) * self.up(h))


class Model(nn.Cell):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.blocks = nn.SequentialCell([Block() for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm((hidden,)), Linear(hidden, vocab)

    def construct(self, tokens, targets):
        logits = self.head(self.norm(self.blocks(self.embedding(tokens))))
        return ops.cross_entropy(ops.reshape(logits, (-1, vocab)), ops.reshape(targets, (-1,)))


model = Model()
optimizer = nn.AdamWeightDecay(model.trainable_params(), learning_rate=1e-4)
step = nn.TrainOneStepCell(model, optimizer)
step.set_train()
tokens, targets = (ms.Tensor(np.random.randint(0, vocab, (batch, seq)).astype(np.int32))
                   for _ in range(2))
seconds = []
for _ in range(2 + steps):
    start = time.time()
    step(tokens, targets).asnumpy()
    seconds.append(time.time() - start)
step_s = statistics.median(seconds[2:])
matrices = sum(int(np.prod(p.shape)) for p in model.trainable_params()) - vocab * hidden
flops = (6 * matrices + 6 * layers * hidden * seq) * batch * seq
print(json.dumps({
    "name": f"MindSpore {ms.__version__}", "step_s": step_s, "tokens_per_s": batch * seq / step_s,
    "model_flops_per_s": flops / step_s,
    "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
