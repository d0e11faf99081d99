// Where code and plan come from: addresses, bytes, responses.
import { EdgeortError } from "./errors.js";

const FIRST_GUESS = 1 << 20, CHUNK = 1 << 20;
const PLAN_BYTES = 0; // of the plan that this file was built with: edgeort/javascript.py writes it here

// (func (result v128) (i8x16.relaxed_swizzle (i8x16.splat (i32.const 1)) (i8x16.splat (i32.const 2)))): an engine takes this module
// if it has relaxed SIMD.
const RELAXED = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
);

/** Whether this engine multiplies and adds in one instruction: then lib/edgeort_relaxed.wasm is taken, not lib/edgeort.wasm. */
export function hasRelaxedSimd() {
  return WebAssembly.validate(RELAXED);
}

const codeName = () => (hasRelaxedSimd() ? "edgeort_relaxed.wasm" : "edgeort.wasm");

const compiled = new Map(); // address -> Promise<WebAssembly.Module>: models of a page share their code

// Node's fetch has no files.
async function read(url) {
  const { readFile } = await import("node:fs/promises");
  try {
    return new Response(await readFile(url), { headers: { "Content-Type": "application/wasm" } });
  } catch (error) {
    const where = "relative addresses begin at the folder of edgeort.js";
    throw new EdgeortError(`${url} cannot be read: ${error.message.split(",")[0]} (${where})`, { cause: error });
  }
}

async function fetched(url) {
  if (url.protocol === "file:") return read(url);
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new EdgeortError(`${url} cannot be fetched: ${error.message}`, { cause: error });
  }
  if (!response.ok) throw new EdgeortError(`${url} cannot be fetched: ${response.status} ${response.statusText}`);
  return response;
}

async function compile(source) {
  try {
    if (source instanceof WebAssembly.Module) return source;
    if (!(source instanceof URL)) return await WebAssembly.compile(source);
    const response = await fetched(source);
    // A server that names another type sends the same bytes.
    const streams = response.headers.get("Content-Type") === "application/wasm" && WebAssembly.compileStreaming;
    return await (streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer()));
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    throw new EdgeortError(`the code cannot be compiled; it needs WebAssembly with SIMD: ${error.message}`, { cause: error });
  }
}

function compileOnce(url) {
  const key = String(url);
  if (!compiled.has(key)) {
    const made = compile(url);
    made.catch(() => compiled.delete(key));
    compiled.set(key, made);
  }
  return compiled.get(key);
}

export function codeOf(source) {
  if (source === undefined) return compileOnce(new URL(codeName(), import.meta.url));
  return typeof source === "string" || source instanceof URL ? compileOnce(addressOf(source)) : compile(source);
}

function addressOf(source) {
  return new URL(source, globalThis.location?.href ?? import.meta.url);
}

// Its bytes, or the response that brings them.
export async function planOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (!(source instanceof Response)) return fetched(addressOf(source));
  if (source.bodyUsed || source.body?.locked) throw new EdgeortError("the plan's response has been read already");
  if (!source.ok) throw new EdgeortError(`${source.url || "the plan"} cannot be fetched: ${source.status} ${source.statusText}`);
  return source;
}

export function sourcesOf(source) {
  if (typeof source !== "string" && !(source instanceof URL)) return source;
  const folder = addressOf(source);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  return { plan: new URL("model.plan", folder), wasm: new URL(`lib/${codeName()}`, folder) };
}

/** How many bytes that will be, where it is known before they come; else 0. */
export function expectedOf(source) {
  if (typeof source !== "string" && !(source instanceof URL)) return 0;
  return new URL("lib/edgeort.js", addressOf(source)).href === import.meta.url ? PLAN_BYTES : 0;
}

// The bytes of a plan as they come: { next, cancel }. Into one large buffer where the engine can, whose bytes hold until the next
// call.
export function chunksOf(origin) {
  if (origin instanceof Uint8Array) {
    const chunks = [{ value: origin }];
    return { next: async () => chunks.pop() ?? { done: true }, cancel: () => {} };
  }
  const cancel = (reader) => () => void reader.cancel().catch(() => {});
  const body = origin.body ?? new Response("").body; // null: there are no bytes
  let reader, buffer = new ArrayBuffer(CHUNK);
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    const plain = body.getReader();
    return { next: () => plain.read(), cancel: cancel(plain) };
  }
  const next = async () => {
    const chunk = await reader.read(new Uint8Array(buffer));
    buffer = chunk.value?.buffer ?? buffer;
    return chunk;
  };
  return { next, cancel: cancel(reader) };
}

// How many bytes will come. The length is that of compressed bytes where a server compresses: a guess.
export function guessOf(origin) {
  return origin instanceof Uint8Array ? origin.length : Number(origin.headers.get("Content-Length")) || FIRST_GUESS;
}

/** Whether something is found within a few microtasks, as bytes are that have come: a turn of the event loop takes longer. */
export async function soon(found) {
  for (let i = 0; i < 20 && !found(); ++i) await null;
  return Boolean(found());
}

let turns; // a channel, and who waits for what it brings

/** The next turn of the event loop, in which bytes come. */
export function turn() {
  return new Promise((good) => {
    if (globalThis.setImmediate) return setImmediate(good); // Node, which an open channel would keep from ending
    if (!turns) {
      turns = { channel: new MessageChannel(), waiting: [] };
      turns.channel.port1.onmessage = () => turns.waiting.shift()();
    }
    turns.waiting.push(good);
    turns.channel.port2.postMessage(0);
  });
}

/** A turn that nothing else needs, where the engine tells turns apart. */
export const spareTurn = () => globalThis.scheduler?.postTask?.(() => {}, { priority: "background" }) ?? turn();
