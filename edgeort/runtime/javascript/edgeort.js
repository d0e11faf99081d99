// edgeort in a browser, a Web Worker or Node: runs the model of a bundle. No dependencies; one thread; the main thread waits for a
// run, so that pages which must stay responsive call it in a worker.
//
//   import { Model } from "./lib/edgeort.js";
//   const model = await Model.open("./");                       // the folder of the bundle
//   const { logits } = model.run({ image: pixels });            // a typed array, or { data, shape }
//   logits.data, logits.shape
//
// Under a content security policy, "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'" is all that it needs.
import { EdgeortError } from "./errors.js";
import { DTYPES, given, isPicture, pixelsOf } from "./feeds.js";
import { Engine, Memory } from "./engine.js";
import { chunksOf, codeOf, expectedOf, guessOf, hasRelaxedSimd, planOf, soon, sourcesOf, spareTurn, turn } from "./sources.js";

export { EdgeortError, hasRelaxedSimd };

const ERROR_BYTES = 512;
const STEP_MS = 1, FRAME_MS = 16; // between two looks for bytes, and two turns of the event loop
const FAILED = 0xffffff00; // and above: less the status
// edgeort_tensor, edgeort_options, edgeort_stats and edgeort_node of edgeort.h with pointers of 32 bits.
const TENSOR = { size: 88, name: 0, data: 4, bytes: 8, dtype: 12, rank: 16, dims: 24 };
const OPTIONS = { size: 12, threads: 0, profile: 4, isa: 8 };
const STATS = { size: 24, weights: 0, arena: 4, nodes: 16, isa: 20 };
const NODE = { size: 24, name: 0, op: 4, ns: 8, skipped: 16 };

/** A model that is open. Its outputs are copies, which stay. */
export class Model {
  #engine;
  #model = 0;
  #closed = false;
  #buffers; // of inputs: where, how many bytes there is room for
  #scratch = 0;
  #inputs;
  #outputs;
  #options; // of Model.open
  #memory = new Memory();
  #total = 0; // bytes that the plan says it has
  #needed = 1; // how many there have to be until it can be opened
  #loaded; // a promise
  #whole = false; // it is kept
  #failed; // or the error that it is broken by
  #opened; // tells Model.open
  #waiting; // the run that waits for weights: { good, bad, needed }
  #wake = () => {}; // who waits for bytes

  /**
   * Opens the bundle in a folder, or { plan, wasm } of addresses, bytes, a Response or a WebAssembly.Module. `profile` times
   * every node. `streaming`: as soon as the graph is there, for runStreaming.
   */
  static async open(source, { profile = false, streaming = false } = {}) {
    const { plan, wasm } = sourcesOf(source);
    const model = new Model();
    model.#options = { profile, streaming };
    const opened = new Promise((good) => (model.#opened = good));
    const coming = codeOf(wasm); // asked for first: it is small, and nothing begins without it
    const origin = planOf(plan).then((found) => model.#prepare(found));
    model.#touch(plan).catch(() => {}); // what is wrong is told when the plan comes
    const started = Promise.all([coming, origin]).then(([code]) => model.#start(code));
    model.#loaded = origin.then((found) => model.#receive(found, started));
    model.#loaded.catch((error) => model.#fail(error));
    try {
      await started;
      await (streaming ? Promise.race([opened, model.#loaded]) : model.#loaded);
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

  /** A promise of all weights: then `run` may be called. */
  get loaded() {
    return this.#loaded;
  }

  /** Bytes of weights and of activations, the number of nodes, and which code runs: "wasm" or "wasm_relaxed". */
  get stats() {
    const at = this.#scratch;
    this.#call("edgeort_get_stats", at);
    const view = this.#memory.view();
    return {
      weightsBytes: view.getUint32(at + STATS.weights, true),
      arenaBytes: view.getUint32(at + STATS.arena, true),
      memoryBytes: this.#memory.length,
      nodes: view.getInt32(at + STATS.nodes, true),
      level: this.#memory.text(view.getUint32(at + STATS.isa, true)),
    };
  }

  /** Runs it: { name: typed array | { data, shape } | ImageData } -> { name: { data, shape, dtype } }. */
  run(feeds) {
    if (this.#model && !this.#whole) {
      throw this.#failed ?? new EdgeortError("weights are still coming: await model.loaded, or model.runStreaming(...)");
    }
    this.#give(feeds);
    this.#check(this.#call("edgeort_run"));
    return this.#results();
  }

  /** The same while weights are coming: each layer once its own are there. Later it is `run`. */
  async runStreaming(feeds) {
    if (this.#waiting) await this.#loaded;
    if (this.#failed) throw this.#failed;
    if (this.#whole || this.#closed) return this.run(feeds);
    this.#give(feeds);
    return new Promise((good, bad) => {
      this.#waiting = { good, bad, needed: 0 };
      this.#wake();
    });
  }

  /** Of each node: { name, op, ms, skipped }, ms over all runs; of a model that was opened with { profile: true }. */
  profile() {
    const rows = [], at = this.#scratch;
    for (let index = 0; this.#call("edgeort_get_node", index, at) === 0; ++index) {
      const view = this.#memory.view();
      rows.push({
        name: this.#memory.text(view.getUint32(at + NODE.name, true)),
        op: this.#memory.text(view.getUint32(at + NODE.op, true)),
        ms: Number(view.getBigUint64(at + NODE.ns, true)) / 1e6,
        skipped: view.getInt32(at + NODE.skipped, true) !== 0,
      });
    }
    return rows;
  }

  /** Gives its memory back. */
  close() {
    this.#closed = true;
    this.#model = 0;
    this.#engine?.close();
    this.#wake();
  }

  #prepare(origin) {
    this.#memory.reserve(guessOf(origin));
    return origin;
  }

  // While code and plan come there is nothing to do, and later that memory is fresh takes longer than the copy into it.
  async #touch(plan) {
    const expected = expectedOf(plan);
    if (!expected) return;
    this.#memory.reserve(expected);
    do await spareTurn();
    while (!this.#engine && !this.#closed && this.#memory.touch());
  }

  #fail(error) {
    this.#failed = error;
    this.#waiting?.bad(error);
  }

  async #start(code) {
    this.#engine = await Engine.start(code, this.#memory);
    this.#scratch = this.#memory.scratch;
    const options = this.#scratch + ERROR_BYTES, view = this.#memory.view();
    view.setInt32(options + OPTIONS.threads, 1, true);
    view.setInt32(options + OPTIONS.profile, this.#options.profile ? 1 : 0, true);
    view.setUint32(options + OPTIONS.isa, 0, true);
    this.#wake();
  }

  async #receive(origin, started) {
    const chunks = chunksOf(origin);
    try {
      await this.#take(chunks);
    } catch (error) {
      chunks.cancel();
      throw error;
    }
    await started;
    this.#finish();
  }

  // Brings the plan's bytes to their place as they come, and meanwhile runs what can.
  async #take(chunks) {
    for (let turned = performance.now(); ; ) {
      let chunk;
      const reading = chunks.next().then((found) => (chunk = found), (error) => (chunk = { error }));
      while (!chunk && !this.#closed) {
        this.#openEarly();
        if (!this.#step()) {
          await Promise.race([reading, new Promise((good) => (this.#wake = good))]);
        } else if (!(await soon(() => chunk)) || performance.now() > turned + FRAME_MS) {
          await turn();
          turned = performance.now();
        }
      }
      if (this.#closed) throw new EdgeortError("the model is closed");
      if ("error" in chunk) {
        throw new EdgeortError(`the plan cannot be fetched: ${chunk.error?.message ?? chunk.error}`, { cause: chunk.error });
      }
      if (chunk.done) return;
      // Behind that is the code's own memory.
      if (this.#total && this.#memory.size + chunk.value.length > this.#total) throw new EdgeortError("the plan is longer than it says");
      this.#memory.append(chunk.value);
    }
  }

  #finish() {
    if (!this.#model) this.#open("edgeort_open_memory", [this.#memory.size]);
    else if (this.#memory.size < this.#total) throw new EdgeortError("the plan is truncated");
    if (!this.#model) throw new EdgeortError(this.#memory.text(this.#scratch));
    while (this.#step());
    this.#whole = true;
  }

  // Opens the plan if enough of it is there.
  #openEarly() {
    const memory = this.#memory;
    if (!this.#options.streaming || !this.#engine || this.#model || memory.size < this.#needed) return;
    this.#total = this.#engine.call("edgeort_arriving_size", memory.at, memory.size) >>> 0;
    if (memory.size >= this.#total) return; // what is wrong with it is said when all is there
    memory.reserve(this.#total);
    const needed = this.#scratch + ERROR_BYTES + OPTIONS.size;
    this.#open("edgeort_open_arriving", [this.#total, memory.size], needed);
    this.#needed = memory.view().getUint32(needed, true);
    if (!this.#model && !this.#needed) throw new EdgeortError(memory.text(this.#scratch));
  }

  #open(name, sizes, ...rest) {
    this.#model = this.#engine.call(name, this.#memory.at, ...sizes, this.#scratch + ERROR_BYTES, this.#scratch, ...rest);
    if (!this.#model) return;
    this.#inputs = Array.from({ length: this.#call("edgeort_input_count") }, (_, index) => {
      this.#call("edgeort_input", index, this.#scratch);
      return this.#described();
    });
    this.#outputs = Array.from({ length: this.#call("edgeort_output_count") }, (_, index) => {
      this.#call("edgeort_output", index, this.#scratch);
      return this.#described().name;
    });
    this.#buffers = this.#inputs.map(() => ({ at: 0, room: 0 }));
    this.#opened();
  }

  // Runs nodes of the run that waits, for a moment. Whether more can run now.
  #step() {
    const run = this.#waiting, here = this.#memory.size;
    if (!run || run.needed > here) return false;
    const until = performance.now() + STEP_MS;
    do run.needed = this.#call("edgeort_run_arriving", here) >>> 0;
    while (run.needed && run.needed <= here && performance.now() < until);
    if (run.needed && run.needed < FAILED) return run.needed <= here;
    this.#waiting = undefined;
    try {
      if (run.needed) this.#check(2 ** 32 - run.needed);
      this.#whole = true; // a run that is done has had all of it
      run.good(this.#results());
    } catch (error) {
      run.bad(error);
    }
    return false;
  }

  // The tensor in the scratch memory.
  #described() {
    const view = this.#memory.view(), at = this.#scratch, dtype = view.getInt32(at + TENSOR.dtype, true);
    const shape = [];
    for (let d = 0; d < view.getInt32(at + TENSOR.rank, true); ++d) shape.push(Number(view.getBigInt64(at + TENSOR.dims + 8 * d, true)));
    return { name: this.#memory.text(view.getUint32(at + TENSOR.name, true)), dtype: DTYPES[dtype]?.[0] ?? `type ${dtype}`, shape };
  }

  #give(feeds) {
    if (!this.#model || this.#engine.isClosed) throw new EdgeortError("the model is closed");
    for (const name of Object.keys(feeds)) {
      if (!this.#inputs.some((input) => input.name === name)) {
        throw EdgeortError.invalid(`the model has no input "${name}"; its inputs are ${this.#inputs.map((i) => i.name).join(", ")}`);
      }
    }
    this.#inputs.forEach((input, index) => {
      if (!(input.name in feeds)) throw EdgeortError.invalid(`input "${input.name}" is missing`);
      this.#feed(input, index, feeds[input.name]);
    });
  }

  #feed(input, index, value) {
    const code = DTYPES.findIndex(([name]) => name === input.dtype), engine = this.#engine;
    if (code < 0) throw new EdgeortError(`input "${input.name}" has elements of ${input.dtype}, which JavaScript has no arrays of`);
    const { data, shape } = isPicture(value) ? pixelsOf(input, value) : given(input, value, DTYPES[code][1]);
    const buffer = this.#buffers[index], bytes = data.byteLength;
    if (bytes > buffer.room || !buffer.at) {
      if (buffer.at) engine.free(buffer.at);
      buffer.at = 0;
      buffer.at = engine.allocate(bytes);
      buffer.room = bytes;
    }
    this.#memory.bytes(buffer.at, bytes).set(new Uint8Array(data.buffer, data.byteOffset, bytes));
    const view = this.#memory.view(), at = this.#scratch;
    view.setUint32(at + TENSOR.data, buffer.at, true);
    view.setUint32(at + TENSOR.bytes, bytes, true);
    view.setInt32(at + TENSOR.dtype, code, true);
    view.setInt32(at + TENSOR.rank, shape.length, true);
    shape.forEach((dim, d) => view.setBigInt64(at + TENSOR.dims + 8 * d, BigInt(dim), true));
    this.#check(this.#call("edgeort_set_input", index, at));
  }

  #results() {
    return Object.fromEntries(this.#outputs.map((name, index) => [name, this.#result(index)]));
  }

  #result(index) {
    this.#call("edgeort_output", index, this.#scratch);
    const { name, dtype, shape } = this.#described(), found = DTYPES.find(([known]) => known === dtype);
    if (!found) throw new EdgeortError(`output "${name}" has elements of ${dtype}, which JavaScript has no arrays of`);
    const at = this.#memory.view().getUint32(this.#scratch + TENSOR.data, true);
    const length = shape.reduce((all, dim) => all * dim, 1);
    return { data: new found[1](this.#memory.copy(at, length * found[1].BYTES_PER_ELEMENT)), shape, dtype };
  }

  #call(name, ...rest) {
    if (!this.#model) throw new EdgeortError("the model is closed");
    return this.#engine.call(name, this.#model, ...rest);
  }

  #check(status) {
    if (status) throw EdgeortError.of(status, this.#memory.text(this.#call("edgeort_last_error")));
  }
}
