/** Bytes of a made-up model file: any range of any size at the cost of a copy, the same in Node and in the browser. */

const PAGE = 4096;
const PATTERN = 256 * PAGE;
const patterns = new Map<number, Uint8Array>();

/** A seeded generator of 32-bit numbers (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

function pattern(seed: number): Uint8Array {
  let bytes = patterns.get(seed);
  if (!bytes) {
    const words = new Uint32Array(PATTERN / 4);
    const next = random(seed);
    for (let i = 0; i < words.length; i++) {
      words[i] = next();
    }
    bytes = new Uint8Array(words.buffer);
    patterns.set(seed, bytes);
  }
  return bytes;
}

/**
 * Bytes `from` to `from + length` of the file of this seed. It begins with "GGUF"; every page of 4096 bytes ends with its own number,
 * so that a page in the wrong place shows.
 */
export function fileBytes(seed: number, from: number, length: number): Uint8Array<ArrayBuffer> {
  const firstPage = Math.floor(from / PAGE);
  const endPage = Math.ceil((from + length) / PAGE);
  const pages = new Uint8Array((endPage - firstPage) * PAGE);
  const view = new DataView(pages.buffer);
  const source = pattern(seed);
  for (let at = 0; at < pages.length; ) {
    const within = (firstPage * PAGE + at) % PATTERN;
    const part = source.subarray(within, Math.min(PATTERN, within + pages.length - at));
    pages.set(part, at);
    at += part.length;
  }
  for (let page = firstPage; page < endPage; page++) {
    view.setUint32((page - firstPage + 1) * PAGE - 4, page, true);
  }
  if (firstPage === 0 && endPage > 0) {
    pages.set([0x47, 0x47, 0x55, 0x46]);
  }
  return pages.subarray(from - firstPage * PAGE, from - firstPage * PAGE + length);
}
