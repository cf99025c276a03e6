"""Tiny seeded random-weight models (F32 GGUF), to be quantised with `golden.py quantize` and run with `golden.py data`.

Needs numpy and gguf 0.19.0. The vocabulary (2,048 tokens) and its metadata come from tests/data/models/v2k-llama-Q4_K_M.gguf.

    python make_models.py VOCAB.gguf OUTDIR [NAME...]

writes OUTDIR/NAME-F32.gguf. Then `golden.py quantize` with FTYPE 15 (Q4_K_M), for gpt-oss 38 (MXFP4_MOE: experts MXFP4, other matrices Q8_0).
Matrices are normal with a deviation of (the number given) / sqrt(inputs); norms are near the mean given, 10 % deviation.
"""

import pathlib
import sys
import zlib

import gguf
import numpy as np

VOCAB = 2048


class Model:
    def __init__(self, name, arch, vocab, out):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.arch = arch
        self.w = gguf.GGUFWriter(out / f"v2k-{name}-F32.gguf", arch)
        self.w.add_name(f"synth-v2k-{name}")
        for field in vocab.fields.values():
            if field.name.startswith("tokenizer."):
                sub = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                self.w.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub)
        self.u32("vocab_size", VOCAB)
        self.w.add_file_type(0)

    def u32(self, key, value):
        self.w.add_uint32(f"{self.arch}.{key}", value)

    def f32(self, key, value):
        self.w.add_float32(f"{self.arch}.{key}", value)

    def text(self, key, value):
        self.w.add_string(f"{self.arch}.{key}", value)

    def sizes(self, layers, embd, ff, heads, kv, eps, base=10000.0, head=None, context=1024):
        self.embd, self.head = embd, head or embd // heads
        self.q, self.kv = self.head * heads, self.head * kv
        self.u32("context_length", context)
        self.u32("embedding_length", embd)
        self.u32("block_count", layers)
        self.u32("feed_forward_length", ff)
        self.u32("attention.head_count", heads)
        self.u32("attention.head_count_kv", kv)
        self.f32("attention.layer_norm_rms_epsilon", eps)
        self.f32("rope.freq_base", base)
        if head:
            self.u32("attention.key_length", head)
            self.u32("attention.value_length", head)
        self.u32("rope.dimension_count", self.head)

    def put(self, name, x):
        self.w.add_tensor(name, np.ascontiguousarray(x, np.float32))

    def normal(self, name, *shape, std, mean=0.0):
        self.put(name, self.rng.normal(mean, std, shape))

    def norm(self, name, n, mean=1.0):
        self.normal(f"{name}.weight", n, mean=mean, std=0.1 * mean)

    def mat(self, name, inputs, outputs, gain, *experts):
        self.normal(f"{name}.weight", *experts, outputs, inputs, std=gain / inputs**0.5)

    def bias(self, name, *shape, std=0.3):
        self.normal(f"{name}.bias", *shape, std=std)

    def ends(self, embd_std=0.05, norm=4.0, output=None):
        self.normal("token_embd.weight", VOCAB, self.embd, std=embd_std)
        self.norm("output_norm", self.embd, norm)
        if output:
            self.normal("output.weight", VOCAB, self.embd, std=output)

    def attention(self, b, biases=(), qk=1.4, qk_norm=None):
        self.norm(f"{b}.attn_norm", self.embd)
        for t, n, gain in (("q", self.q, qk), ("k", self.kv, qk), ("v", self.kv, 1.0)):
            self.mat(f"{b}.attn_{t}", self.embd, n, gain)
            if t in biases:
                self.bias(f"{b}.attn_{t}", n)
            if qk_norm and t != "v":
                self.norm(f"{b}.attn_{t}_norm", self.head, qk_norm)
        self.mat(f"{b}.attn_output", self.q, self.embd, 1.2)
        if "o" in biases:
            self.bias(f"{b}.attn_output", self.embd)

    def ffn(self, b, ff, suffix="", *experts, gate=1.2, up=1.2, down=1.5, biases=False):
        for t, i, o, gain in (("gate", self.embd, ff, gate), ("up", self.embd, ff, up), ("down", ff, self.embd, down)):
            self.mat(f"{b}.ffn_{t}{suffix}", i, o, gain, *experts)
            if biases:
                self.bias(f"{b}.ffn_{t}{suffix}", *experts, o)

    def router(self, b, experts):
        self.mat(f"{b}.ffn_gate_inp", self.embd, experts, 1.5)

    def experts(self, count, used, ff=None):
        self.u32("expert_count", count)
        self.u32("expert_used_count", used)
        if ff:
            self.u32("expert_feed_forward_length", ff)

    def write(self):
        self.w.write_header_to_file()
        self.w.write_kv_data_to_file()
        self.w.write_tensors_to_file()
        self.w.close()


def qwen3moe(m):
    m.sizes(4, 256, 96, 4, 2, 1e-6, base=1e6, head=32)
    m.experts(8, 3, 32)
    m.ends()
    for b in (f"blk.{i}" for i in range(4)):
        m.attention(b, qk_norm=1.4)
        m.norm(f"{b}.ffn_norm", m.embd)
        m.router(b, 8)
        m.ffn(b, 32, "_exps", 8)


def mixtral(m):
    m.sizes(2, 256, 256, 4, 1, 1e-5, base=1e6)
    m.experts(4, 2)
    m.ends()
    for b in (f"blk.{i}" for i in range(2)):
        m.attention(b)
        m.norm(f"{b}.ffn_norm", m.embd)
        m.router(b, 4)
        m.ffn(b, 256, "_exps", 4)


def gpt_oss(m):
    m.sizes(4, 96, 96, 8, 2, 1e-5, base=150000.0, head=32)
    m.experts(8, 4, 96)
    m.u32("attention.sliding_window", 128)
    m.text("rope.scaling.type", "yarn")
    m.f32("rope.scaling.factor", 32.0)
    m.u32("rope.scaling.original_context_length", 512)
    m.ends(output=0.08)
    for b in (f"blk.{i}" for i in range(4)):
        m.attention(b, biases="qkvo")
        m.normal(f"{b}.attn_sinks.weight", 8, mean=1.0, std=1.0)
        m.norm(f"{b}.post_attention_norm", m.embd)
        m.router(b, 8)
        m.bias(f"{b}.ffn_gate_inp", 8)
        # Wide enough that gate and up pass the clamp at 7 now and then.
        m.ffn(b, 96, "_exps", 8, gate=2.8, up=2.8, down=0.8, biases=True)


def gemma1(m):
    m.sizes(3, 256, 256, 3, 1, 1e-6, head=128)
    m.ends(embd_std=0.01, norm=20.0)
    for b in (f"blk.{i}" for i in range(3)):
        m.attention(b)
        m.norm(f"{b}.ffn_norm", m.embd)
        m.ffn(b, 256)


def dense_llama(m):
    m.sizes(2, 256, 512, 4, 2, 1e-5)
    m.ends()
    for b in (f"blk.{i}" for i in range(2)):
        m.attention(b)
        m.norm(f"{b}.ffn_norm", m.embd)
        m.ffn(b, 512)


def mistral(m):
    dense_llama(m)
    m.u32("attention.sliding_window", 16)


def llama_linear(m):
    dense_llama(m)
    m.text("rope.scaling.type", "linear")
    m.f32("rope.scaling.factor", 4.0)


def qwen2moe(m):
    m.sizes(2, 256, 64, 4, 2, 1e-6, base=1e6)
    m.experts(6, 2, 32)
    m.u32("expert_shared_feed_forward_length", 64)
    m.ends(output=0.05)
    for b in (f"blk.{i}" for i in range(2)):
        m.attention(b, biases="qkv")
        m.norm(f"{b}.ffn_norm", m.embd)
        m.router(b, 6)
        m.ffn(b, 32, "_exps", 6)
        m.normal(f"{b}.ffn_gate_inp_shexp.weight", m.embd, std=1.5 / m.embd**0.5)
        m.ffn(b, 64, "_shexp")


MODELS = {
    "qwen3moe": ("qwen3moe", qwen3moe),
    "mixtral": ("llama", mixtral),
    "gpt-oss": ("gpt-oss", gpt_oss),
    "gemma1": ("gemma", gemma1),
    "mistral": ("llama", mistral),
    "llama-linear": ("llama", llama_linear),
    "qwen2moe": ("qwen2moe", qwen2moe),
}

if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    vocab, out = gguf.GGUFReader(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or MODELS:
        arch, fill = MODELS[name]
        model = Model(name, arch, vocab, out)
        fill(model)
        model.write()
