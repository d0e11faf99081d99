// edgeort in a browser, a Web Worker or Node: runs the model of a bundle. No dependencies; one thread; the main thread waits for a
// run, so that pages which must stay responsive call it in a worker.
//
//   import { Model } from "./lib/edgeort.js";
//   const model = await Model.open("./");                       // the folder of the bundle
//   const { logits } = model.run({ image: pixels });            // a typed array, or { data, shape }
//   logits.data, logits.shape
//
// Under a content security policy, "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'" is all that it needs.

/** What was wrong with a bundle, an input or this engine. */
export class EdgeortError extends Error {
  name = "EdgeortError";
}

const ABI = 2;
const ALIGNMENT = 64;
const MAX_RANK = 8;
const ERROR_BYTES = 512;
const FIRST_GUESS = 1 << 20, CHUNK = 1 << 20;
// edgeort_tensor, edgeort_options, edgeort_stats and edgeort_node of edgeort.h with pointers of 32 bits.
const TENSOR = { size: 88, name: 0, data: 4, bytes: 8, dtype: 12, rank: 16, dims: 24 };
const OPTIONS = { size: 12, threads: 0, profile: 4, isa: 8 };
const STATS = { size: 24, weights: 0, arena: 4, nodes: 16, isa: 20 };
const NODE = { size: 24, name: 0, op: 4, ns: 8, skipped: 16 };

// By edgeort_dtype: name, and what its elements are in JavaScript. Halves and bfloat16 are their bits.
const DTYPES = [
  ["float32", Float32Array], ["uint8", Uint8Array], ["int8", Int8Array], ["uint16", Uint16Array], ["int16", Int16Array],
  ["int32", Int32Array], ["int64", BigInt64Array], ["bool", Uint8Array], ["float16", Uint16Array], ["float64", Float64Array],
  ["uint32", Uint32Array], ["uint64", BigUint64Array], ["bfloat16", Uint16Array],
];

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

async function fetched(url) {
  if (url.protocol === "file:") { // Node's fetch has no files
    const { readFile } = await import("node:fs/promises");
    return new Response(await readFile(url), { headers: { "Content-Type": "application/wasm" } });
  }
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

function codeOf(source) {
  if (source === undefined) return compileOnce(new URL(codeName(), import.meta.url));
  return typeof source === "string" || source instanceof URL ? compileOnce(addressOf(source)) : compile(source);
}

function addressOf(source) {
  return new URL(source, globalThis.location?.href ?? import.meta.url);
}

// Its bytes, or the response that brings them.
async function planOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return source instanceof Response ? source : fetched(addressOf(source));
}

function sourcesOf(source) {
  if (typeof source !== "string" && !(source instanceof URL)) return source;
  const folder = addressOf(source);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  return { plan: new URL("model.plan", folder), wasm: new URL(`lib/${codeName()}`, folder) };
}

// What gives the next bytes of a stream: into one large buffer where the engine can, else as they come.
function chunksOf(stream) {
  let reader, buffer = new ArrayBuffer(CHUNK);
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    const plain = stream.getReader();
    return () => plain.read();
  }
  return async () => {
    const chunk = await reader.read(new Uint8Array(buffer));
    buffer = chunk.value?.buffer ?? buffer;
    return chunk;
  };
}

function isPicture(value) {
  return value?.data instanceof Uint8ClampedArray && Number.isInteger(value.width) && Number.isInteger(value.height);
}

/** A model that is open. Its outputs are copies, which stay. */
export class Model {
  #wasm;
  #model = 0;
  #buffers; // of inputs: where, how many bytes there is room for
  #scratch = 0;
  #inputs;
  #outputs;

  /**
   * Opens the bundle in a folder, or { plan, wasm } of addresses, bytes, a Response or a WebAssembly.Module. `profile` times
   * every node.
   */
  static async open(source, { profile = false } = {}) {
    const { plan, wasm } = sourcesOf(source);
    const [code, origin] = await Promise.all([codeOf(wasm), planOf(plan)]);
    const model = new Model();
    await model.#start(code);
    try {
      const bytes = await model.#receive(origin);
      model.#load(bytes, profile);
    } catch (error) {
      model.close();
      throw error;
    }
    return model;
  }

  /** Of each input: { name, dtype, shape }, -1 for a dimension that is free. */
  get inputs() {
    return this.#inputs.map((input) => ({ ...input, shape: [...input.shape] }));
  }

  /** The names of the outputs. */
  get outputs() {
    return [...this.#outputs];
  }

  /** Bytes of weights and of activations, the number of nodes, and which code runs: "wasm" or "wasm_relaxed". */
  get stats() {
    const at = this.#scratch;
    this.#call("edgeort_get_stats", at);
    const view = this.#view();
    return {
      weightsBytes: view.getUint32(at + STATS.weights, true),
      arenaBytes: view.getUint32(at + STATS.arena, true),
      memoryBytes: this.#wasm.memory.buffer.byteLength,
      nodes: view.getInt32(at + STATS.nodes, true),
      level: this.#text(view.getUint32(at + STATS.isa, true)),
    };
  }

  /** Runs it: { name: typed array | { data, shape } | ImageData } -> { name: { data, shape, dtype } }. */
  run(feeds) {
    if (!this.#model) throw new EdgeortError("the model is closed");
    for (const name of Object.keys(feeds)) {
      if (!this.#inputs.some((input) => input.name === name)) {
        throw new EdgeortError(`the model has no input "${name}"; its inputs are ${this.#inputs.map((i) => i.name).join(", ")}`);
      }
    }
    this.#inputs.forEach((input, index) => {
      if (!(input.name in feeds)) throw new EdgeortError(`input "${input.name}" is missing`);
      this.#feed(input, index, feeds[input.name]);
    });
    if (this.#call("edgeort_run")) throw this.#failure();
    return Object.fromEntries(this.#outputs.map((name, index) => [name, this.#result(index)]));
  }

  /** Of each node: { name, op, ms, skipped }, ms over all runs; of a model that was opened with { profile: true }. */
  profile() {
    const rows = [];
    for (let index = 0; this.#call("edgeort_get_node", index, this.#scratch) === 0; ++index) {
      const view = this.#view(), at = this.#scratch;
      rows.push({
        name: this.#text(view.getUint32(at + NODE.name, true)),
        op: this.#text(view.getUint32(at + NODE.op, true)),
        ms: Number(view.getBigUint64(at + NODE.ns, true)) / 1e6,
        skipped: view.getInt32(at + NODE.skipped, true) !== 0,
      });
    }
    return rows;
  }

  /** Gives its memory back. */
  close() {
    this.#model = 0; // all of the memory goes with the instance
    this.#wasm = undefined;
  }

  async #start(code) {
    const imports = {
      clock_time_get: (_id, _precision, at) => {
        this.#view().setBigUint64(at, BigInt(Math.round(performance.now() * 1e6)), true);
        return 0;
      },
    };
    const instance = await WebAssembly.instantiate(code, { wasi_snapshot_preview1: imports });
    this.#wasm = instance.exports;
    this.#wasm._initialize?.();
    const abi = this.#wasm.edgeort_abi();
    if (abi !== ABI) throw new EdgeortError(`the code has the interface ${abi}, and edgeort.js is for ${ABI}: take both from one bundle`);
  }

  // The plan's bytes in the memory: { at, size }. What comes over a wire goes there as it comes.
  async #receive(origin) {
    if (origin instanceof Uint8Array) {
      const at = this.#allocate(origin.length);
      this.#bytes(at, origin.length).set(origin);
      return { at, size: origin.length };
    }
    // The length is that of compressed bytes where a server compresses: a guess.
    let room = Math.max(ALIGNMENT, Number(origin.headers.get("Content-Length")) || FIRST_GUESS), at = this.#allocate(room), size = 0;
    for (const next = chunksOf(origin.body); ; ) {
      const { done, value } = await next();
      if (done) return { at, size };
      if (size + value.length > room) {
        room = Math.max(2 * room, size + value.length);
        const wider = this.#allocate(room);
        this.#bytes(wider, size).set(this.#bytes(at, size));
        this.#wasm.free(at);
        at = wider;
      }
      this.#bytes(at + size, value.length).set(value);
      size += value.length;
    }
  }

  #load(plan, profile) {
    this.#scratch = this.#allocate(ERROR_BYTES + OPTIONS.size);
    const options = this.#scratch + ERROR_BYTES, view = this.#view();
    view.setInt32(options + OPTIONS.threads, 1, true);
    view.setInt32(options + OPTIONS.profile, profile ? 1 : 0, true);
    view.setUint32(options + OPTIONS.isa, 0, true);
    this.#model = this.#trapped(() => this.#wasm.edgeort_open_memory(plan.at, plan.size, options, this.#scratch));
    if (!this.#model) throw new EdgeortError(this.#text(this.#scratch));
    this.#inputs = Array.from({ length: this.#call("edgeort_input_count") }, (_, index) => {
      this.#call("edgeort_input", index, this.#scratch);
      return this.#described();
    });
    this.#outputs = Array.from({ length: this.#call("edgeort_output_count") }, (_, index) => {
      this.#call("edgeort_output", index, this.#scratch);
      return this.#described().name;
    });
    this.#buffers = this.#inputs.map(() => ({ at: 0, room: 0 }));
  }

  // The tensor in the scratch memory.
  #described() {
    const view = this.#view(), at = this.#scratch, dtype = view.getInt32(at + TENSOR.dtype, true);
    const shape = [];
    for (let d = 0; d < view.getInt32(at + TENSOR.rank, true); ++d) shape.push(Number(view.getBigInt64(at + TENSOR.dims + 8 * d, true)));
    return { name: this.#text(view.getUint32(at + TENSOR.name, true)), dtype: DTYPES[dtype]?.[0] ?? `type ${dtype}`, shape };
  }

  #feed(input, index, value) {
    const code = DTYPES.findIndex(([name]) => name === input.dtype);
    if (code < 0) throw new EdgeortError(`input "${input.name}" has elements of ${input.dtype}, which JavaScript has no arrays of`);
    const { data, shape } = isPicture(value) ? pixelsOf(input, value) : given(input, value, DTYPES[code][1]);
    const buffer = this.#buffers[index], bytes = data.byteLength;
    if (bytes > buffer.room || !buffer.at) {
      if (buffer.at) this.#wasm.free(buffer.at);
      buffer.at = 0;
      buffer.at = this.#allocate(bytes);
      buffer.room = bytes;
    }
    this.#bytes(buffer.at, bytes).set(new Uint8Array(data.buffer, data.byteOffset, bytes));
    const view = this.#view(), at = this.#scratch;
    view.setUint32(at + TENSOR.data, buffer.at, true);
    view.setUint32(at + TENSOR.bytes, bytes, true);
    view.setInt32(at + TENSOR.dtype, code, true);
    view.setInt32(at + TENSOR.rank, shape.length, true);
    shape.forEach((dim, d) => view.setBigInt64(at + TENSOR.dims + 8 * d, BigInt(dim), true));
    if (this.#call("edgeort_set_input", index, at)) throw this.#failure();
  }

  #result(index) {
    this.#call("edgeort_output", index, this.#scratch);
    const { name, dtype, shape } = this.#described(), found = DTYPES.find(([known]) => known === dtype);
    if (!found) throw new EdgeortError(`output "${name}" has elements of ${dtype}, which JavaScript has no arrays of`);
    const at = this.#view().getUint32(this.#scratch + TENSOR.data, true);
    const length = shape.reduce((all, dim) => all * dim, 1);
    return { data: new found[1](this.#wasm.memory.buffer.slice(at, at + length * found[1].BYTES_PER_ELEMENT)), shape, dtype };
  }

  #call(name, ...rest) {
    if (!this.#model) throw new EdgeortError("the model is closed");
    return this.#trapped(() => this.#wasm[name](this.#model, ...rest));
  }

  // After a trap nothing in the memory can be relied on.
  #trapped(body) {
    try {
      return body();
    } catch (error) {
      this.close();
      throw new EdgeortError(`the code stopped: ${error.message}`, { cause: error });
    }
  }

  #allocate(bytes) {
    const whole = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const at = whole < 2 ** 32 ? this.#wasm.aligned_alloc(ALIGNMENT, whole) >>> 0 : 0; // a call takes the low 32 bits of a number
    if (!at) throw new EdgeortError(`out of memory for ${bytes} bytes`);
    return at;
  }

  // New ones each time: the memory moves when it grows.
  #view() {
    return new DataView(this.#wasm.memory.buffer);
  }
  #bytes(at, length) {
    return new Uint8Array(this.#wasm.memory.buffer, at, length);
  }

  // What functions return is signed: addresses beyond 2 GiB are negative.
  #text(address) {
    const bytes = new Uint8Array(this.#wasm.memory.buffer), at = address >>> 0, end = bytes.indexOf(0, at);
    return new TextDecoder().decode(bytes.subarray(at, end));
  }

  #failure() {
    return new EdgeortError(this.#text(this.#call("edgeort_last_error")));
  }
}

function given(input, value, Type) {
  const whole = ArrayBuffer.isView(value) || Array.isArray(value) ? { data: value } : (value ?? {});
  const data = Array.isArray(whole.data) ? fromNumbers(input, whole.data, Type) : whole.data;
  const clamped = data instanceof Uint8ClampedArray && Type === Uint8Array;
  if (!(data instanceof Type) && !clamped) {
    throw new EdgeortError(`input "${input.name}" (${input.dtype}) takes a ${Type.name}, or { data, shape } with one`);
  }
  const shape = whole.shape ?? inferred(input, data.length);
  const length = shape.reduce((all, dim) => all * dim, 1);
  if (!shape.every(Number.isSafeInteger)) throw new EdgeortError(`input "${input.name}" has no whole numbers as shape: ${shape.join("x")}`);
  if (shape.length > MAX_RANK || length !== data.length) {
    throw new EdgeortError(`input "${input.name}" has ${data.length} elements; its shape ${shape.join("x")} has ${length}`);
  }
  return { data, shape };
}

function fromNumbers(input, values, Type) {
  const isWide = Type === BigInt64Array || Type === BigUint64Array;
  try {
    return isWide ? Type.from(values, (value) => BigInt(value)) : Type.from(values);
  } catch (error) {
    throw new EdgeortError(`input "${input.name}" (${input.dtype}) does not take these values: ${error.message}`, { cause: error });
  }
}

// The declared shape; a single free dimension takes what is left of the elements.
function inferred(input, elements) {
  const free = input.shape.filter((dim) => dim < 0).length;
  if (free > 1) throw new EdgeortError(`input "${input.name}" has ${free} free dimensions: give { data, shape }`);
  const fixed = input.shape.reduce((all, dim) => (dim < 0 ? all : all * dim), 1);
  return input.shape.map((dim) => (dim < 0 ? Math.floor(elements / fixed) : dim));
}

// A picture for an input of uint8 [height, width, channels], alone or a batch of one: all four channels, or the first three.
function pixelsOf(input, picture) {
  const { width, height } = picture, channels = input.shape.at(-1), rank = input.shape.length;
  if (picture.data.length !== 4 * width * height) {
    throw new EdgeortError(`the picture for "${input.name}" has ${picture.data.length} bytes; ${width}x${height} has ${4 * width * height}`);
  }
  if (input.dtype !== "uint8" || rank < 3 || rank > 4 || (channels !== 3 && channels !== 4)) {
    throw new EdgeortError(`input "${input.name}" (${input.dtype}, ${input.shape.join("x")}) takes no pictures: those are uint8 [height, width, 3 or 4]`);
  }
  const shape = [...(rank === 4 ? [1] : []), height, width, channels];
  if (channels === 4) return { data: new Uint8Array(picture.data), shape };
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4) {
    data[to++] = picture.data[from];
    data[to++] = picture.data[from + 1];
    data[to++] = picture.data[from + 2];
  }
  return { data, shape };
}
