// An instance of the code: its memory, and calls of its functions.
import { EdgeortError } from "./errors.js";

const ABI = 2;
const ALIGNMENT = 64;

export class Engine {
  #wasm;

  static async start(code) {
    const engine = new Engine();
    const clock = (_id, _precision, at) => {
      engine.view().setBigUint64(at, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    };
    const instance = await WebAssembly.instantiate(code, { wasi_snapshot_preview1: { clock_time_get: clock } });
    engine.#wasm = instance.exports;
    engine.#wasm._initialize?.();
    const abi = engine.#wasm.edgeort_abi();
    if (abi !== ABI) throw new EdgeortError(`the code has the interface ${abi}, and edgeort.js is for ${ABI}: take both from one bundle`);
    return engine;
  }

  get isClosed() {
    return !this.#wasm;
  }

  /** All of the memory goes with the instance. */
  close() {
    this.#wasm = undefined;
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

  get memoryBytes() {
    return this.#wasm.memory.buffer.byteLength;
  }

  // New ones each time: the memory moves when it grows.
  view() {
    return new DataView(this.#wasm.memory.buffer);
  }
  bytes(at, length) {
    return new Uint8Array(this.#wasm.memory.buffer, at, length);
  }
  copy(at, length) {
    return this.#wasm.memory.buffer.slice(at, at + length);
  }

  // What functions return is signed: addresses beyond 2 GiB are negative.
  text(address) {
    const bytes = new Uint8Array(this.#wasm.memory.buffer), at = address >>> 0, end = bytes.indexOf(0, at);
    return new TextDecoder().decode(bytes.subarray(at, end));
  }
}

/** Bytes in the memory, which move when there is no room for more. */
export class Growing {
  #engine;
  #room = 0;
  #guess;
  at = 0;
  size = 0;

  constructor(engine, guess) {
    this.#engine = engine;
    this.#guess = guess;
  }

  reserve(bytes) {
    if (bytes <= this.#room) return;
    const engine = this.#engine, room = Math.max(bytes, this.#room ? 2 * this.#room : this.#guess), at = engine.allocate(room);
    if (this.at) {
      engine.bytes(at, this.size).set(engine.bytes(this.at, this.size));
      engine.free(this.at);
    }
    this.at = at;
    this.#room = room;
  }

  append(value) {
    this.reserve(this.size + value.length);
    this.#engine.bytes(this.at + this.size, value.length).set(value);
    this.size += value.length;
  }
}
