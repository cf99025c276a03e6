/** The header of a llama model as wide as wanted, whose weights are all zeros. */

type Value = number | string | boolean | { f32: number } | string[] | { i32: number[] };

const F32 = 0;
const Q8_0 = 8;
const ALIGN = 32;
const TOKENS = ["<s>", "</s>", "h", "e", "l", "o", "he", "ll", "hell", "hello", "a", "b", "c", "d", "f", "g"];

class Writer {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  #number(bytes: number, write: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(bytes));
    write(view);
    this.raw(new Uint8Array(view.buffer));
  }
  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }
  u32 = (n: number) => this.#number(4, (view) => view.setUint32(0, n, true));
  u64 = (n: number) => this.#number(8, (view) => view.setBigUint64(0, BigInt(n), true));
  f32 = (n: number) => this.#number(4, (view) => view.setFloat32(0, n, true));
  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }
  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

function write(out: Writer, value: Value): void {
  if (typeof value === "number") {
    out.u32(4);
    out.u32(value);
  } else if (typeof value === "string") {
    out.u32(8);
    out.text(value);
  } else if (typeof value === "boolean") {
    out.u32(7);
    out.raw(Uint8Array.of(value ? 1 : 0));
  } else if (Array.isArray(value)) {
    out.u32(9);
    out.u32(8);
    out.u64(value.length);
    for (const text of value) out.text(text);
  } else if ("f32" in value) {
    out.u32(6);
    out.f32(value.f32);
  } else {
    out.u32(9);
    out.u32(5);
    out.u64(value.i32.length);
    for (const n of value.i32) out.u32(n);
  }
}

/** `layers` layers of this width in Q8_0, for `context` tokens; the file's header and its size in bytes with the zeros behind it. */
export function bigModel(layers: number, width: number, ff: number, context = 128): { header: Uint8Array; size: number } {
  const kv = width / 8;
  const metadata: [string, Value][] = [
    ["general.architecture", "llama"],
    ["llama.block_count", layers],
    ["llama.context_length", context],
    ["llama.embedding_length", width],
    ["llama.feed_forward_length", ff],
    ["llama.attention.head_count", width / 128],
    ["llama.attention.head_count_kv", kv / 128],
    ["llama.rope.dimension_count", 128],
    ["llama.vocab_size", TOKENS.length],
    ["llama.rope.freq_base", { f32: 10000 }],
    ["llama.attention.layer_norm_rms_epsilon", { f32: 1e-5 }],
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "gpt-2"],
    ["tokenizer.ggml.tokens", TOKENS],
    ["tokenizer.ggml.token_type", { i32: TOKENS.map((_, i) => (i < 2 ? 3 : 1)) }],
    ["tokenizer.ggml.merges", ["h e", "l l", "he ll", "hell o"]],
    ["tokenizer.ggml.bos_token_id", 0],
    ["tokenizer.ggml.eos_token_id", 1],
    ["tokenizer.ggml.add_bos_token", true],
  ];
  const matrix = (name: string, columns: number, rows: number) => ({ name, dims: [columns, rows], type: Q8_0, bytes: ((columns * rows) / 32) * 34 });
  const vector = (name: string) => ({ name, dims: [width], type: F32, bytes: 4 * width });
  const tensors = [matrix("token_embd.weight", width, TOKENS.length), vector("output_norm.weight"), matrix("output.weight", width, TOKENS.length)];
  for (let i = 0; i < layers; i++) {
    tensors.push(
      vector(`blk.${i}.attn_norm.weight`),
      matrix(`blk.${i}.attn_q.weight`, width, width),
      matrix(`blk.${i}.attn_k.weight`, width, kv),
      matrix(`blk.${i}.attn_v.weight`, width, kv),
      matrix(`blk.${i}.attn_output.weight`, width, width),
      vector(`blk.${i}.ffn_norm.weight`),
      matrix(`blk.${i}.ffn_gate.weight`, width, ff),
      matrix(`blk.${i}.ffn_up.weight`, width, ff),
      matrix(`blk.${i}.ffn_down.weight`, ff, width),
    );
  }
  const out = new Writer();
  out.raw(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.length);
  for (const [key, value] of metadata) {
    out.text(key);
    write(out, value);
  }
  let at = 0;
  for (const { name, dims, type, bytes } of tensors) {
    out.text(name);
    out.u32(dims.length);
    for (const dim of dims) out.u64(dim);
    out.u32(type);
    out.u64(at);
    at = Math.ceil((at + bytes) / ALIGN) * ALIGN;
  }
  out.raw(new Uint8Array((ALIGN - (out.length % ALIGN)) % ALIGN));
  return { header: out.bytes(), size: out.length + at };
}
