// The memory of a model, and an instance of the code in it.
import { EdgeortError } from "./errors.js";

const ABI = 2;
const ALIGNMENT = 64;
const PAGE = 1 << 16;
const SYSTEM_PAGE = 1 << 12, TOUCHED_AT_ONCE = 64 * SYSTEM_PAGE;
const OWN_PAGES = 64; // of the code: --initial-memory in edgeort/targets.py

/**
 * Made before the code is there, so that the plan's bytes go to their place from the first on: the code's own pages, one of `scratch`,
 * the plan. What the code takes more lies behind.
 */
export class Memory {
  #memory;
  #room = 0;
  #touched = 0;
  scratch = OWN_PAGES * PAGE;
  at = (OWN_PAGES + 1) * PAGE;
  size = 0; // of the plan, as far as it came

  constructor() {
    this.#allocating(this.at, () => (this.#memory = new WebAssembly.Memory({ initial: this.at / PAGE })));
  }

  get imports() {
    return { memory: this.#memory };
  }

  get length() {
    return this.#memory.buffer.byteLength;
  }

  /** Room for a plan of so many bytes, before the code takes memory. */
  reserve(bytes) {
    const more = Math.ceil((bytes - this.#room) / PAGE);
    if (more <= 0) return;
    this.#allocating(bytes, () => this.#memory.grow(more));
    this.#room += more * PAGE;
  }

  /** Has the system give some more of the room for a plan, before bytes come to it. Whether more is left. */
  touch() {
    const from = Math.max(this.#touched, this.size), to = Math.min(this.#room, from + TOUCHED_AT_ONCE);
    const bytes = new Uint8Array(this.#memory.buffer);
    for (let at = from; at < to; at += SYSTEM_PAGE) bytes[this.at + at] = 0;
    this.#touched = to;
    return to < this.#room;
  }

  append(value) {
    if (this.size + value.length > this.#room) this.reserve(Math.max(this.size + value.length, 2 * this.#room));
    this.bytes(this.at + this.size, value.length).set(value);
    this.size += value.length;
  }

  // New ones each time: the memory moves when it grows.
  view() {
    return new DataView(this.#memory.buffer);
  }
  bytes(at, length) {
    return new Uint8Array(this.#memory.buffer, at, length);
  }
  copy(at, length) {
    return this.#memory.buffer.slice(at, at + length);
  }

  // What functions return is signed: addresses beyond 2 GiB are negative.
  text(address) {
    const bytes = new Uint8Array(this.#memory.buffer), at = address >>> 0, end = bytes.indexOf(0, at);
    return new TextDecoder().decode(bytes.subarray(at, end));
  }

  free() {
    this.#memory = undefined;
  }

  #allocating(bytes, body) {
    try {
      body();
    } catch (error) {
      throw new EdgeortError(`out of memory for ${bytes} bytes`, { cause: error });
    }
  }
}

export class Engine {
  #wasm;
  #memory;

  static async start(code, memory) {
    const engine = new Engine();
    engine.#memory = memory;
    const clock = (_id, _precision, at) => {
      memory.view().setBigUint64(at, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    };
    const instance = await WebAssembly.instantiate(code, { env: memory.imports, wasi_snapshot_preview1: { clock_time_get: clock } });
    engine.#wasm = instance.exports;
    engine.#wasm._initialize?.();
    const abi = engine.#wasm.edgeort_abi();
    if (abi !== ABI) throw new EdgeortError(`the code has the interface ${abi}, and edgeort.js is for ${ABI}: take both from one bundle`);
    return engine;
  }

  get isClosed() {
    return !this.#wasm;
  }

  close() {
    this.#wasm = undefined;
    this.#memory.free();
  }

  /** What a function gives. After a trap nothing in the memory can be relied on. */
  call(name, ...rest) {
    if (this.isClosed) throw new EdgeortError("the model is closed");
    try {
      return this.#wasm[name](...rest);
    } catch (error) {
      this.close();
      throw new EdgeortError(`the code stopped: ${error.message}`, { cause: error });
    }
  }

  allocate(bytes) {
    const whole = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const at = whole < 2 ** 32 ? this.call("aligned_alloc", ALIGNMENT, whole) >>> 0 : 0; // a call takes the low 32 bits of a number
    if (!at) throw new EdgeortError(`out of memory for ${bytes} bytes`);
    return at;
  }

  free(at) {
    this.call("free", at);
  }
}
