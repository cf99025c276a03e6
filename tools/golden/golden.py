"""Reference data from llama.cpp: run/, logits/ of a GGUF file, in two variants (see tests/data/PROVENANCE.md).

Needs numpy, and libgolden.so with two builds of llama.cpp's CPU backend (golden.cpp says how): BUILD for `cpu`, and for `deq`
libggml-cpu.so from BUILD_DEQ. LD_LIBRARY_PATH chooses.

    LD_LIBRARY_PATH=BUILD/bin               python golden.py data cpu ./libgolden.so MODEL.gguf INPUTS OUT
    LD_LIBRARY_PATH=BUILD_DEQ/bin:BUILD/bin python golden.py data deq ./libgolden.so MODEL.gguf INPUTS OUT
    LD_LIBRARY_PATH=BUILD/bin               python golden.py quantize ./libgolden.so F32.gguf OUT.gguf FTYPE
    python golden.py compare THEIRS OURS NAME
    python golden.py margins DIR NAME...

INPUTS is tests/data/inputs. OUT gets run/NAME.VARIANT.json and logits/NAME.VARIANT.{json,slice.npy}. For `deq` the weights are
dequantised to F32 by llama_model_quantize into a temporary file.
"""

import ctypes as c
import json
import pathlib
import sys
import tempfile

import numpy as np

INFO = [
    "n_params", "size_bytes", "n_embd", "n_layer", "n_head", "n_head_kv", "n_ctx_train", "n_swa", "rope_type",
    "n_vocab", "bos", "eos", "eot", "add_bos", "add_eos", "vocab_type",
]  # fmt: skip
DOC = (
    "greedy (argmax, lowest id wins ties), EOG tokens do not stop generation. topk[i] = [[id,logit]...] that chose ids[i]; "
    "lse[i] = logsumexp of all logits at that step (natural log)."
)
STEPS = 48
# run/ is made in a context of the model's context_length, logits/ in this one: Phi-3's long or short factors depend on it.
LOGITS_CTX = 512
SLICE = 512


class Golden:
    def __init__(self, lib, path, threads, n_ctx=0):
        self.lib = lib
        lib.golden_load.restype = c.c_void_p
        self.h = lib.golden_load(str(path).encode(), threads, n_ctx)
        if not self.h:
            raise SystemExit(f"{path}: not loaded")
        self.h = c.c_void_p(self.h)
        desc = c.create_string_buffer(256)
        lib.golden_desc(self.h, desc, c.c_size_t(256))
        out = (c.c_int64 * len(INFO))()
        lib.golden_info(self.h, out)
        self.info = {"desc": desc.value.decode()} | dict(zip(INFO, out))
        for key in ("add_bos", "add_eos"):
            self.info[key] = bool(self.info[key])
        self.n_vocab = self.info["n_vocab"]

    def tokenize(self, text):
        raw = text.encode()
        ids = (c.c_int32 * (len(raw) + 8))()
        n = self.lib.golden_tokenize(self.h, raw, len(raw), ids, len(ids))
        return list(ids[:n])

    def piece(self, id):
        buf = c.create_string_buffer(256)
        return buf.raw[: self.lib.golden_piece(self.h, id, buf, 256)]

    def is_eog(self, id):
        return bool(self.lib.golden_is_eog(self.h, id))

    def clear(self):
        self.lib.golden_clear(self.h)

    def decode(self, ids, at, every=False):
        out = np.empty((len(ids) if every else 1, self.n_vocab), np.float32)
        arr = (c.c_int32 * len(ids))(*ids)
        rc = self.lib.golden_decode(self.h, arr, len(ids), at, int(every), out.ctypes.data_as(c.POINTER(c.c_float)))
        if rc:
            raise SystemExit(f"llama_decode: {rc}")
        return out

    def close(self):
        self.lib.golden_free(self.h)


def r5(x):
    return round(float(x), 5)


def lse(row):
    row = row.astype(np.float64)
    top = row.max()
    return top + np.log(np.exp(row - top).sum())


def top(row, n):
    """[id, logit], highest first; of equal logits the lowest id first."""
    order = np.argsort(-row, kind="stable")[:n]
    return [[int(i), r5(row[i])] for i in order]


def greedy(g, prompt):
    ids = g.tokenize(prompt["text"])[: prompt.get("max_tokens")]
    g.clear()
    row = g.decode(ids, 0)[0]
    out, topk, lses, margin, eog, text = [], [], [], float("inf"), -1, b""
    for step in range(STEPS):
        order = np.argsort(-row, kind="stable")
        best = int(order[0])
        margin = min(margin, float(row[order[0]] - row[order[1]]))
        out.append(best)
        topk.append(top(row, 3))
        lses.append(r5(lse(row)))
        if eog < 0 and g.is_eog(best):
            eog = step
        text += g.piece(best)
        if step + 1 < STEPS:
            row = g.decode([best], len(ids) + step)[0]
    try:
        gen = {"gen_text": text.decode()}
    except UnicodeDecodeError:
        gen = {"gen_hex": text.hex()}
    return {"name": prompt["name"], "text": prompt["text"], "prompt_ids": ids, "ids": out} | gen | {
        "eog_at": eog, "min_top1_top2_margin": margin, "topk": topk, "lse": lses,
    }  # fmt: skip


def data(variant, lib, model, inputs, out):
    lib, model, inputs, out = c.CDLL(lib), pathlib.Path(model), pathlib.Path(inputs), pathlib.Path(out)
    name = model.name.removesuffix(".gguf")
    shown, threads, temp = model.name, 1, None
    path = model
    if variant == "deq":
        temp = tempfile.TemporaryDirectory()
        shown, threads = f"{name}.deq.gguf", 2
        path = pathlib.Path(temp.name) / shown
        if lib.golden_quantize(str(model).encode(), str(path).encode(), 0):
            raise SystemExit("not dequantised")
    g = Golden(lib, path, threads)
    head = {
        "model": shown,
        "model_info": g.info,
        "settings": {
            "type_k": "f32", "type_v": "f32", "flash_attn": False, "threads": threads, "cpu_repack": False, "n_gpu_layers": 0,
        },  # fmt: skip
    }
    prompts = json.loads((inputs / "prompts_synth.json").read_text())
    run = head | {"doc": DOC, "prompts": [greedy(g, p) for p in prompts]}
    ids = g.tokenize(json.loads((inputs / "logits_prompt.json").read_text())["text"])[:32]
    g.close()
    g = Golden(lib, path, threads, LOGITS_CTX)
    rows = g.decode(ids, 0, every=True)
    logits = head | {
        "ids": ids,
        "slice": SLICE,
        "full": False,
        "argmax": [int(r.argmax()) for r in rows],
        "lse": [r5(lse(r)) for r in rows],
        "mean": [r5(r.astype(np.float64).mean()) for r in rows],
        "std": [r5(r.astype(np.float64).std()) for r in rows],
        "top8": [top(r, 8) for r in rows],
    }
    g.close()
    for folder, what in (("run", run), ("logits", logits)):
        (out / folder).mkdir(parents=True, exist_ok=True)
        text = json.dumps(what, separators=(",", ":"), ensure_ascii=False)
        (out / folder / f"{name}.{variant}.json").write_text(text)
    np.save(out / "logits" / f"{name}.{variant}.slice.npy", np.ascontiguousarray(rows[:, :SLICE]))


def compare(theirs, ours, name):
    """Largest differences of two folders of reference data."""
    theirs, ours = pathlib.Path(theirs), pathlib.Path(ours)
    for variant in ("deq", "cpu"):
        same = equal = steps = 0
        worst = 0.0
        a, b = (json.loads((d / "run" / f"{name}.{variant}.json").read_text()) for d in (theirs, ours))
        for p, q in zip(a["prompts"], b["prompts"], strict=True):
            assert p["prompt_ids"] == q["prompt_ids"]
            for i, (x, y) in enumerate(zip(p["ids"], q["ids"], strict=True)):
                steps += 1
                if p["ids"][:i] != q["ids"][:i]:
                    continue
                same += x == y
                worst = max(worst, abs(p["lse"][i] - q["lse"][i]), *(abs(s[1] - t[1]) for s, t in zip(p["topk"][i], q["topk"][i])))
                equal += p["topk"][i] == q["topk"][i] and p["lse"][i] == q["lse"][i]
        info = {k for k in a["model_info"] if a["model_info"][k] != b["model_info"][k]}
        info |= {k for k in a if k not in b} | {k for k in b if k not in a} | ({"doc"} if a["doc"] != b["doc"] else set())
        s, t = (np.load(d / "logits" / f"{name}.{variant}.slice.npy") for d in (theirs, ours))
        la, lb = (json.loads((d / "logits" / f"{name}.{variant}.json").read_text()) for d in (theirs, ours))
        fields = [k for k in la if la[k] != lb.get(k)]
        print(
            f"{name}.{variant}: ids equal {same}/{steps}, steps equal to the last printed digit {equal}, worst topk/lse {worst:.1e}; "
            f"slice worst {abs(s - t).max():.1e} bits equal {np.array_equal(s, t)}; logits fields that differ {fields}; info {info or 'same'}"
        )


def margins(folder, *names):
    for name in names:
        for variant in ("deq", "cpu"):
            j = json.loads((pathlib.Path(folder) / "run" / f"{name}.{variant}.json").read_text())
            m = np.array([t[0][1] - t[1][1] for p in j["prompts"] for t in p["topk"]])
            distinct = [len(set(p["ids"])) for p in j["prompts"]]
            print(f"{name}.{variant}: {(m > 0.01).mean():.4f} of {m.size} steps > 0.01, median {np.median(m):.3f}, distinct ids of 48: {distinct}")


def quantize(lib, source, to, ftype):
    if c.CDLL(lib).golden_quantize(source.encode(), to.encode(), int(ftype)):
        raise SystemExit("not quantised")


if __name__ == "__main__":
    command, *args = sys.argv[1:] or ["help"]
    commands = {"data": data, "compare": compare, "margins": margins, "quantize": quantize}
    if command not in commands:
        raise SystemExit(__doc__)
    commands[command](*args)
