/** Numbers as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in decimal units, as download sizes are given. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit < 2 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Seconds left, coarse on purpose: a figure that jumps about helps nobody. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) {
    return "unknown";
  }
  if (seconds < 60) {
    return `${Math.max(1, Math.ceil(seconds))} s`;
  }
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function milliseconds(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
}

export function rate(perSecond: number): string {
  return `${perSecond.toFixed(perSecond < 100 ? 1 : 0)} tok/s`;
}

export function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, (part / whole) * 100) : 0;
}

/** A model's name from the last part of its address or from its file name. */
export function modelLabel(name: string): string {
  const last = name.split(/[?#]/, 1)[0]?.split("/").pop() ?? name;
  try {
    return decodeURIComponent(last).replace(/\.gguf$/i, "") || name;
  } catch {
    return last.replace(/\.gguf$/i, "") || name;
  }
}
