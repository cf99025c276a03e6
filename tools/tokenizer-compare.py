#!/usr/bin/env python3
"""Compares this project's tokenizers with llama.cpp's on random strings, and keeps the result as a table.

    tools/tokenizer-compare.py --lib libllama.so --vocabs FOLDER [--gemma3 FILE] [--count N] [--seed N] [--only NAME ...]
                               [--record FILE.md]

Needs Python 3.10, cargo, and llama.cpp as a shared library of the version named below, on the CPU:

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36     (tools/llama-vocabs.sh does it without a build)
    tar xf llama_cpp_python-0.3.36.tar.gz && cd llama_cpp_python-0.3.36/vendor/llama.cpp
    cmake -B build -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_COMMON=OFF && cmake --build build --target llama

FOLDER is vendor/llama.cpp/models of that package (what tools/llama-vocabs.sh prints), FILE a Gemma 3 model
(tools/gemma3.sh). A pre-tokenizer without a vocabulary of its own is tried on another's file with
`tokenizer.ggml.pre` replaced: what it cuts shows in the ids all the same. (The file must be one where plain text cannot
merge into a control token, as `</s>` does in qwen2's under some pre-tokenizers: llama.cpp lets it, this project does not.)

Every string is tokenized by both, with and without `parse_special`, always with `add_special`; then the bytes of every
token are compared. Exits with 1 if anything differs. FILE.md keeps a row for each, so a run may be done in parts.
"""

import argparse
import ctypes
import datetime
import fcntl
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

LLAMA = "llama.cpp 0c1e57098bba (in llama-cpp-python 0.3.36)"

# vocabulary file -> pre-tokenizers tried on it; None: the file's own.
PLAN = {
    "gpt-2": [None],
    "mpt": [None],
    "starcoder": [None, "smollm"],
    "refact": [None],
    "command-r": [None],
    "falcon": [None],
    "llama-bpe": [None, "dbrx", "glm4", "minicpm5", "tekken", "gpt-4o", "llama4", "granite-embed-multi-97m", "tiny_aya", "kimi-k2", "bloom", "viking"],
    "qwen2": [None, "laguna", "ufakzeka", "seed-coder", "bailingmoe", "youtu"],
    "qwen35": [None],
    "deepseek-llm": [None, "deepseek-v3", "spark2_5", "afmoe"],
    "deepseek-coder": [None],
    "llama-spm": [None],
    "phi-3": [None],
    "baichuan": [None],
    "gemma-3": [None],
    "gemma-4": [None],
}

CONTROL, USER_DEFINED, UNKNOWN = 1 << 3, 1 << 4, 1 << 0

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "aAbBcC", "0123456789", "0123456789٣४௩½Ⅷ²",
    " ", "  \t", "\n", "\r\n", " \n\r\t\v\f\0\x85\xa0\u2003\u2028\u3000", "'", "'’`\"", "!\"#$%&()*+,-./:;<=>?@[\\]^_{|}~",
    "$+<=>^`|~¢€∑√", "/\n", "…。，、！？：；“”‘’—", "éèüßñçøåÆ", "áe\u0301\u0308", "\u0300\u0301\u0327\u0345\u20dd",
    "абвгдЖЗИЙ", "αβγΔΩ", "אבגד", "ابتثج،۔", "अआकखि्।", "กขคงแ่้", "ກຂຄ", "ကခဂ", "កខគ", "一二三龥鿿豈㐀𠀀", "日本語中文漢字", "ひらがな", "カタカナー",
    "한국어가힣ㄱㆎ", "ㄅㄆㄯ", "ａｂＡＢ！～", "ǅǈʰªº", "𝐀𝑏𐐀𐐨𞤀", "🙂👍🏽🇩🇪❤️", "👨‍👩‍👧", "\u200b\u200d\ufeff\u00ad\u202e", "\ud7ff\ue000\ufffd\U0010ffff",
    "\u0378\U0001e4d0\U000105c0\U0002ebf0", "_", "aé中1 '",
]
WORDS = [
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'lL", "'D", "'ſ", "I'm", "don't", "WE'LL", "it’s",
    " the", " and", "Hello", "World", "camelCase", "HTTPServer", "snake_case", "x1y2", "3.14159", "1234567", "12,345", "2024-01-31",
    "    ", "\t\t", "\n\n", "\r\n\r\n", " \n ", "  \n", "int main() {\n    return 0;\n}\n", "fn f(x: &str) -> u8 { b'\\n' }", "a += b[i++]; // x",
    "<b>bold</b>", "https://example.org/a/b?c=d#e", "/usr/bin/", "```python\n", "<|im_start|>", "<|endoftext|>", "</s>", "<s>", "<0x0A>", "[INST]",
    "▁", "Ġ", "é", "Straße", "naïve", "日本語のテキスト", "你好，世界。", "한국어 문장", "Привет, мир!", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "🏳️‍🌈",
]
STRAY = [b"\xff", b"\xc3", b"\xe6\x97", b"\xf0\x9f\x99", b"\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\x80", b"\xf8\x88\x80\x80\x80"]

# llama.cpp ends the process on these; here they are four stray bytes.
BEYOND_UNICODE = re.compile(rb"(?:\xf4[\x90-\xbf]|[\xf5-\xf7][\x80-\xbf])[\x80-\xbf]{2}")


def strings(rng, pieces, specials, count):
    """Seeded random texts: runs of one alphabet, words, the vocabulary's own pieces and special tokens, stray bytes."""
    for _ in range(count):
        parts = []
        for _ in range(rng.choice((1, 2, 3, 4, 6, 9, 14))):
            what = rng.random()
            if what < 0.45:
                alphabet = rng.choice(ALPHABETS)
                parts.append("".join(rng.choices(alphabet, k=rng.choice((1, 1, 2, 3, 4, 7)))).encode("utf-8", "surrogatepass"))
            elif what < 0.70:
                parts.append(rng.choice(WORDS).encode())
            elif what < 0.86:
                parts.append(rng.choice(pieces))
            elif what < 0.93 and specials:
                text = rng.choice(specials)
                parts.append(text if rng.random() < 0.8 else text[rng.randrange(len(text)):])
            elif what < 0.98:
                parts.append(b" ")
            else:
                parts.append(rng.choice(STRAY))
        yield BEYOND_UNICODE.sub(b"?", b"".join(parts))


class ModelParams(ctypes.Structure):
    _fields_ = [
        ("devices", ctypes.c_void_p), ("tensor_buft_overrides", ctypes.c_void_p), ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int), ("load_mode", ctypes.c_int), ("lazy_mode", ctypes.c_int), ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p), ("progress_callback", ctypes.c_void_p), ("progress_callback_user_data", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p), ("vocab_only", ctypes.c_bool), ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool), ("no_host", ctypes.c_bool), ("no_alloc", ctypes.c_bool), ("load_mtp", ctypes.c_bool),
    ]


class Llama:
    """The vocabulary half of libllama."""

    def __init__(self, path):
        lib = ctypes.CDLL(str(path))
        self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(self.quiet, None)
        lib.llama_backend_init()
        pointer, i32 = ctypes.c_void_p, ctypes.c_int32
        for name, result, arguments in [
            ("llama_model_default_params", ModelParams, []),
            ("llama_model_load_from_file", pointer, [ctypes.c_char_p, ModelParams]),
            ("llama_model_free", None, [pointer]),
            ("llama_model_get_vocab", pointer, [pointer]),
            ("llama_vocab_n_tokens", i32, [pointer]),
            ("llama_vocab_get_text", ctypes.c_char_p, [pointer, i32]),
            ("llama_vocab_get_attr", ctypes.c_int, [pointer, i32]),
            ("llama_tokenize", i32, [pointer, ctypes.c_char_p, i32, ctypes.POINTER(i32), i32, ctypes.c_bool, ctypes.c_bool]),
            ("llama_token_to_piece", i32, [pointer, i32, ctypes.c_char_p, i32, i32, ctypes.c_bool]),
        ]:
            getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments
        self.lib, self.room, self.bytes = lib, (i32 * (1 << 16))(), ctypes.create_string_buffer(1 << 16)

    def open(self, path):
        params = self.lib.llama_model_default_params()
        params.vocab_only = True
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            sys.exit(f"llama.cpp does not load {path}")
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        return self.lib.llama_vocab_n_tokens(self.vocab)

    def close(self):
        self.lib.llama_model_free(self.model)

    def ids(self, text, parse_special):
        n = self.lib.llama_tokenize(self.vocab, text, len(text), self.room, len(self.room), True, parse_special)
        if n < 0:
            sys.exit(f"llama.cpp gives no ids for {text!r}")
        return bytes(memoryview(self.room).cast("B")[: 4 * n])

    def piece(self, id):
        n = self.lib.llama_token_to_piece(self.vocab, id, self.bytes, len(self.bytes), 0, True)
        return self.bytes.raw[: max(n, 0)]

    def special_texts(self, n_tokens):
        wanted = CONTROL | USER_DEFINED | UNKNOWN
        found = (self.lib.llama_vocab_get_text(self.vocab, id) for id in range(n_tokens) if self.lib.llama_vocab_get_attr(self.vocab, id) & wanted)
        return [text for text in found if text]


def with_pre(path, pre, folder):
    """A copy of a vocabulary file whose `tokenizer.ggml.pre` is `pre`. Such files hold no tensors that would move."""
    if pre is None:
        return path
    data = path.read_bytes()
    key = b"tokenizer.ggml.pre"
    at = data.index(struct.pack("<Q", len(key)) + key) + 8 + len(key)
    kind, length = struct.unpack_from("<IQ", data, at)
    if kind != 8:
        sys.exit(f"{path}: tokenizer.ggml.pre is no string")
    copy = folder / f"{path.stem}-{pre}.gguf"
    copy.write_bytes(data[: at + 4] + struct.pack("<Q", len(pre)) + pre.encode() + data[at + 12 + length :])
    return copy


def compare(llama, ids_program, path, name, seed, count):
    """Counts of differing strings and pieces, and the number of special texts there were to try."""
    n_tokens = llama.open(path)
    specials = llama.special_texts(n_tokens)
    rng = random.Random(f"{seed} {name}")
    pieces = [p for p in (llama.piece(rng.randrange(n_tokens)) for _ in range(4000)) if p]
    texts = list(strings(rng, pieces, specials, count))
    run = subprocess.run(
        [ids_program, path], input=b"".join(struct.pack("<I", len(t)) + t for t in texts), capture_output=True, check=False)
    if run.returncode:
        sys.exit(f"{name}: {run.stderr.decode()}")
    ours, at = run.stdout, 0

    def take(unit):
        nonlocal at
        (n,) = struct.unpack_from("<I", ours, at)
        part = ours[at + 4 : at + 4 + unit * n]
        at += 4 + unit * n
        return part

    bad = 0
    for text in texts:
        differs = False
        for parse in (False, True):
            got, want = take(4), llama.ids(text, parse)
            if got != want:
                differs = True
                if bad < 5:
                    show = lambda raw: " ".join(str(i) for (i,) in struct.iter_unpack("<I", raw))
                    split = lambda raw: [llama.piece(i) for (i,) in struct.iter_unpack("<I", raw)]
                    print(f"{name}: {text!r} parse_special={parse}\n  llama.cpp {show(want)} {split(want)}\n  ours      {show(got)} {split(got)}", flush=True)
        bad += differs
    bad_pieces = 0
    for id in range(n_tokens):
        got, want = take(1), llama.piece(id)
        if got != want:
            bad_pieces += 1
            if bad_pieces < 4:
                print(f"{name}: piece {id}: llama.cpp {want!r}, ours {got!r}", flush=True)
    llama.close()
    return n_tokens, bad, bad_pieces


HEAD = f"""# Tokenizers against llama.cpp

wasm-chord beside {LLAMA}, by `tools/tokenizer-compare.py`: its header says what is compared,
`strings` in it what the strings are. Each is tokenized with and without `parse_special` and counts once.

One difference is meant: where the texts of two special tokens overlap, as in `>>ANSWER<<|endoftext|>`, llama.cpp takes the
longer and this project the first, in time linear in the text (`crates/text/src/special.rs`).

| vocabulary | pre-tokenizer | strings | of them differ | tokens | of their bytes differ | seed | wasm-chord | date |
|---|---|---:|---:|---:|---:|---:|---|---|
"""


def record(path, row):
    """Puts a row in the table, in place of an older one of the same vocabulary and pre-tokenizer."""
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        key = lambda line: line.split(" | ")[:2]
        rows = [line for line in file.read().splitlines() if line.startswith("| ") and not line.startswith("| vocabulary")]
        rows = [line for line in rows if key(line) != key(row)] + [row]
        order = [[f"| {vocabulary}", pre or "its own"] for vocabulary, pres in PLAN.items() for pre in pres]
        rows.sort(key=lambda line: order.index(key(line)) if key(line) in order else len(order))
        file.truncate(0)
        file.write(HEAD + "\n".join(rows) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lib", type=pathlib.Path, required=True)
    parser.add_argument("--vocabs", type=pathlib.Path, required=True)
    parser.add_argument("--gemma3", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="vocabularies, or vocabulary/pre-tokenizer")
    parser.add_argument("--record", type=pathlib.Path)
    options = parser.parse_args()

    root = pathlib.Path(__file__).resolve().parent.parent
    build = ["cargo", "build", "--release", "--locked", "-p", "chord-text", "--example", "ids", "--message-format=json-render-diagnostics"]
    messages = subprocess.run(build, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    ids_program = [line.split('"executable":"')[1].split('"')[0] for line in messages.splitlines() if '"executable":"' in line][-1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    llama, failed = Llama(options.lib), False
    with tempfile.TemporaryDirectory() as folder:
        # A long run goes on with the program it began with, whatever is built meanwhile.
        ids_program = shutil.copy(ids_program, folder)
        for vocabulary, pres in PLAN.items():
            path = options.gemma3 if vocabulary == "gemma-3" else options.vocabs / f"ggml-vocab-{vocabulary}.gguf"
            for pre in pres:
                name = vocabulary + (f"/{pre}" if pre else "")
                if path is None or (options.only and not {vocabulary, name} & set(options.only)):
                    continue
                copy = with_pre(path, pre, pathlib.Path(folder))
                n_tokens, bad, bad_pieces = compare(llama, ids_program, copy, name, options.seed, options.count)
                if copy != path:
                    copy.unlink()
                failed |= bool(bad or bad_pieces)
                row = f"| {vocabulary} | {pre or 'its own'} | {options.count:,} | {bad:,} | {n_tokens:,} | {bad_pieces:,} | {options.seed} | {commit} | {datetime.date.today()} |"
                print(row, flush=True)
                if options.record:
                    record(options.record, row)
    sys.exit(failed)


if __name__ == "__main__":
    main()
