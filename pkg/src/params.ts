/** OpenAI-shaped parameters, checked one by one, into a request of the engine's. */
import { UsageError } from "./errors.js";
import type { GenerateRequest } from "./protocol.js";
import type { ChatCompletionParams, CompletionParams } from "./types.js";

type Params = Record<string, unknown>;

/** A request, and what of the parameters concerns only the shape of its answer. */
export interface ParsedRequest {
  request: GenerateRequest;
  stream: boolean;
  includeUsage: boolean;
  model: string | null;
}

/** Parameters that cannot be honoured, with the test for a value that asks nothing of them. */
const REFUSED: Record<string, (value: unknown) => boolean> = {
  tools: (v) => Array.isArray(v) && v.length === 0,
  tool_choice: (v) => v === "none" || v === "auto",
  parallel_tool_calls: () => true,
  functions: (v) => Array.isArray(v) && v.length === 0,
  function_call: (v) => v === "none" || v === "auto",
  response_format: (v) => isObject(v) && v.type === "text",
  n: (v) => v === 1,
  best_of: (v) => v === 1,
  audio: () => false,
  modalities: (v) => Array.isArray(v) && v.every((m) => m === "text"),
  logit_bias: (v) => isObject(v) && Object.keys(v).length === 0,
  web_search_options: () => false,
  moderation: () => false,
  reasoning_effort: (v) => v === "none",
  verbosity: (v) => v === "medium",
  suffix: (v) => v === "",
  echo: (v) => v === false,
};

const IGNORED = [
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
];

const SAMPLING = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "stop", "max_tokens"];
const COMMON = [...SAMPLING, "model", "stream", "stream_options", "logprobs", "signal", "onPrefill"];
const TEMPLATE = ["tools", "reasoning_effort", "chat_template_kwargs", "add_generation_prompt"];
const CHAT = new Set([...COMMON, ...IGNORED, ...TEMPLATE, "messages", "prediction", "max_completion_tokens", "top_logprobs"]);
const COMPLETION = new Set([...COMMON, ...IGNORED, "prompt"]);

const MAX_TOKENS = 2 ** 32 - 1;

/** Checks the parameters of `chat.completions.create`. */
export function parseChat(params: ChatCompletionParams): ParsedRequest {
  const p = known(params, CHAT);
  if (!Array.isArray(p.messages) || p.messages.length === 0) {
    throw param("messages", "must be a list of at least one message");
  }
  const maxTokens = integer(p, "max_completion_tokens", 1, MAX_TOKENS) ?? integer(p, "max_tokens", 1, MAX_TOKENS);
  const wanted = boolean(p, "logprobs");
  const top = integer(p, "top_logprobs", 0, 20);
  if (top !== undefined && !wanted) {
    throw param("top_logprobs", "needs logprobs: true");
  }
  return {
    ...common(p),
    request: {
      messages: p.messages.map(message),
      ...templateVariables(p),
      ...prediction(p.prediction),
      ...(maxTokens !== undefined && { maxTokens }),
      ...(wanted && { logprobs: top ?? 0 }),
      stop: stops(p.stop),
      sampling: sampling(p),
    },
  };
}

/** Checks the parameters of `completions.create`. */
export function parseCompletion(params: CompletionParams): ParsedRequest {
  const p = known(params, COMPLETION);
  const maxTokens = integer(p, "max_tokens", 1, MAX_TOKENS);
  const logprobs = integer(p, "logprobs", 0, 20);
  return {
    ...common(p),
    request: {
      ...prompt(p.prompt),
      ...(maxTokens !== undefined && { maxTokens }),
      ...(logprobs !== undefined && { logprobs }),
      stop: stops(p.stop),
      sampling: sampling(p),
    },
  };
}

/** An error that names the parameter. */
export function param(name: string, what: string): UsageError {
  return new UsageError("E_PARAM", `${name} ${what}`, `Correct ${name}, or leave it out.`);
}

/** Token ids as the engine takes them. */
export function tokenIds(name: string, value: unknown): number[] {
  if (!Array.isArray(value)) {
    throw param(name, "must be a list of token ids");
  }
  return value.map((id: unknown, i) => checkInteger(`${name}[${i}]`, id, 0, 2 ** 32 - 1));
}

/** A number from `min` to `max`; undefined where it is absent. */
export function number(p: Params, name: string, min: number, max: number): number | undefined {
  const value = p[name] ?? undefined;
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    throw param(name, `is ${show(value)}; it must be a number from ${min} to ${max}`);
  }
  return value;
}

/** A whole number from `min` to `max`; undefined where it is absent. */
export function integer(p: Params, name: string, min: number, max: number): number | undefined {
  const value = p[name] ?? undefined;
  return value === undefined ? undefined : checkInteger(name, value, min, max);
}

/** One of the words; undefined where it is absent. */
export function oneOf<T extends string>(p: Params, name: string, words: readonly T[]): T | undefined {
  const value = p[name] ?? undefined;
  if (value === undefined) {
    return undefined;
  }
  const word = words.find((w) => w === value);
  if (word === undefined) {
    throw param(name, `is ${show(value)}; it must be ${words.map((w) => `"${w}"`).join(" or ")}`);
  }
  return word;
}

/** The options as a plain record. */
export function record(name: string, value: unknown): Params {
  if (!isObject(value)) {
    throw param(name, "must be an object");
  }
  return value;
}

function known(params: unknown, names: Set<string>): Params {
  const p = record("params", params);
  for (const [name, value] of Object.entries(p)) {
    if (names.has(name) || value === null || value === undefined) {
      continue;
    }
    const neutral = REFUSED[name];
    if (!neutral) {
      throw new UsageError("E_PARAM", `${name} is no parameter of this call`, "Check the spelling, or leave it out: the README lists the parameters.");
    }
    if (!neutral(value)) {
      throw new UsageError("E_UNSUPPORTED", `${name} is not supported with this value: ${show(value)}`, `Leave ${name} out.`);
    }
  }
  return p;
}

function common(p: Params): Omit<ParsedRequest, "request"> {
  const stream = boolean(p, "stream");
  const options = p.stream_options ?? undefined;
  if (options !== undefined && !stream) {
    throw param("stream_options", "needs stream: true");
  }
  const includeUsage = options !== undefined && boolean(record("stream_options", options), "include_usage");
  if (p.model !== undefined && p.model !== null && typeof p.model !== "string") {
    throw param("model", "must be a text");
  }
  if (p.onPrefill !== undefined && typeof p.onPrefill !== "function") {
    throw param("onPrefill", "must be a function");
  }
  checkSignal(p);
  return { stream, includeUsage, model: typeof p.model === "string" ? p.model : null };
}

/** Refuses what is no AbortSignal. */
export function checkSignal(p: Params): void {
  if (p.signal !== undefined && p.signal !== null && !(p.signal instanceof AbortSignal)) {
    throw param("signal", "must be an AbortSignal");
  }
}

function sampling(p: Params): GenerateRequest["sampling"] {
  const values = {
    temperature: number(p, "temperature", 0, 100),
    topK: integer(p, "top_k", 0, 2 ** 32 - 1),
    topP: number(p, "top_p", 0, 1),
    minP: number(p, "min_p", 0, 1),
    repeatPenalty: number(p, "repetition_penalty", 0.01, 100),
    presencePenalty: number(p, "presence_penalty", -100, 100),
    frequencyPenalty: number(p, "frequency_penalty", -100, 100),
    // The engine's own default is one fixed seed: the same question would get the same answer every time.
    seed: integer(p, "seed", 0, Number.MAX_SAFE_INTEGER) ?? crypto.getRandomValues(new Uint32Array(1))[0],
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function stops(value: unknown): string[] {
  const list: unknown[] = value === null || value === undefined ? [] : Array.isArray(value) ? value : [value];
  return list.map((stop) => {
    if (typeof stop !== "string" || stop === "") {
      throw param("stop", "must be a text that is not empty, or a list of such texts");
    }
    return stop;
  });
}

function prompt(value: unknown): Pick<GenerateRequest, "prompt" | "tokens"> {
  const one: unknown = Array.isArray(value) && value.length === 1 && typeof value[0] !== "number" ? value[0] : value;
  if (typeof one === "string") {
    return { prompt: one };
  }
  if (Array.isArray(one) && one.some((item) => typeof item !== "number")) {
    throw new UsageError("E_UNSUPPORTED", "prompt holds several prompts", "Send one request per prompt.");
  }
  if (!Array.isArray(one)) {
    throw param("prompt", "must be a text or a list of token ids");
  }
  return { tokens: tokenIds("prompt", one) };
}

function prediction(value: unknown): Pick<GenerateRequest, "prediction"> {
  if (value === undefined || value === null) {
    return {};
  }
  const p = record("prediction", value);
  if (p.type !== "content") {
    throw param("prediction.type", `is ${show(p.type)}; it must be "content"`);
  }
  return { prediction: content("prediction.content", p.content) };
}

/** What the chat template is told besides the messages. */
function templateVariables(p: Params): Pick<GenerateRequest, "tools" | "chatTemplateKwargs"> {
  const tools = p.tools ?? [];
  if (!Array.isArray(tools)) {
    throw param("tools", "must be a list of functions");
  }
  const effort = p.reasoning_effort ?? undefined;
  if (effort !== undefined && typeof effort !== "string") {
    throw param("reasoning_effort", `is ${show(effort)}; it must be a text`);
  }
  const reasoning = effort === "none" ? { enable_thinking: false, thinking: false } : { ...(effort !== undefined && { reasoning_effort: effort }) };
  const begins = p.add_generation_prompt ?? undefined;
  const kwargs: Params = {
    ...reasoning,
    ...(begins !== undefined && { add_generation_prompt: boolean(p, "add_generation_prompt") }),
    ...record("chat_template_kwargs", p.chat_template_kwargs ?? {}),
  };
  return {
    ...(tools.length > 0 && p.tool_choice !== "none" && { tools: json("tools", tools) as unknown[] }),
    ...(Object.keys(kwargs).length > 0 && { chatTemplateKwargs: json("chat_template_kwargs", kwargs) as Params }),
  };
}

/** The value as JSON has it: what cannot be written as JSON never reaches the worker. */
function json(name: string, value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value)) as unknown;
  } catch (error) {
    throw new UsageError("E_PARAM", `${name} cannot be written as JSON`, `Correct ${name}, or leave it out.`, { cause: error });
  }
}

const ROLES = ["system", "developer", "user", "assistant", "tool"];

/** A message with all its fields, but for those that hold nothing. */
function message(value: unknown, i: number): Params {
  const at = `messages[${i}]`;
  const m = record(at, value);
  const held = Object.entries(m).filter(([name, field]) => !(field === null || field === undefined || (name !== "content" && Array.isArray(field) && field.length === 0)));
  const fields = json(at, Object.fromEntries(held)) as Params;
  for (const field of ["function_call", "audio"]) {
    if (fields[field] !== undefined) {
      throw new UsageError("E_UNSUPPORTED", `${at}.${field} is not supported`, "Send messages with text only.");
    }
  }
  if (m.role === "function") {
    throw new UsageError("E_UNSUPPORTED", `${at}.role "function" is not supported`, "Send results of tools as role tool.");
  }
  if (typeof m.role !== "string" || !ROLES.includes(m.role)) {
    throw param(`${at}.role`, `is ${show(m.role)}; it must be "system", "developer", "user", "assistant" or "tool"`);
  }
  for (const name of ["name", "tool_call_id", "reasoning_content"]) {
    if (fields[name] !== undefined && typeof fields[name] !== "string") {
      throw param(`${at}.${name}`, "must be a text");
    }
  }
  const calls = fields.tool_calls;
  if (calls !== undefined && !(Array.isArray(calls) && calls.every(isCall))) {
    throw param(`${at}.tool_calls`, "must be a list of function calls, each with a name and arguments");
  }
  const role = m.role === "developer" ? "system" : m.role;
  const empty = calls !== undefined && (m.content === null || m.content === undefined);
  return { ...fields, role, content: empty ? "" : content(`${at}.content`, m.content) };
}

function isCall(call: unknown): boolean {
  const called = isObject(call) ? call.function : undefined;
  return isObject(called) && typeof called.name === "string" && (typeof called.arguments === "string" || isObject(called.arguments));
}

/** Text parts become lines of one text, as in llama.cpp. */
function content(at: string, value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  if (!Array.isArray(value)) {
    throw param(at, "must be a text or a list of text parts");
  }
  const texts = value.map((item: unknown, i) => {
    const part = record(`${at}[${i}]`, item);
    if (part.type !== "text") {
      throw new UsageError("E_UNSUPPORTED", `${at}[${i}] is of type ${show(part.type)}; only text is supported`, "Leave images, audio and files out.");
    }
    if (typeof part.text !== "string") {
      throw param(`${at}[${i}].text`, "must be a text");
    }
    return part.text;
  });
  return texts.join("\n");
}

export function boolean(p: Params, name: string): boolean {
  const value = p[name] ?? false;
  if (typeof value !== "boolean") {
    throw param(name, `is ${show(value)}; it must be true or false`);
  }
  return value;
}

function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw param(name, `is ${show(value)}; it must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function isObject(value: unknown): value is Params {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in an error message: short, and never failing. */
function show(value: unknown): string {
  const text = typeof value === "string" || isObject(value) || Array.isArray(value) ? JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v)) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
