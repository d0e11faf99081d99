// Types of edgeort.js.

/** What was wrong with a bundle, an input or this engine. */
export class EdgeortError extends Error {
  /** Of inputs and runs; a smaller input may do where memory is at fault. */
  readonly code?: "FAILED" | "OVER_RAM_LIMIT" | "INVALID_ARGUMENT" | "OUT_OF_MEMORY";
}

/** Whether this engine has relaxed SIMD: then lib/edgeort_relaxed.wasm is taken, not lib/edgeort.wasm. */
export function hasRelaxedSimd(): boolean;

/** Elements of an input or output: float16 and bfloat16 are their bits, bool is 0 or 1. */
export type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

export interface Tensor {
  data: Elements;
  shape: number[];
  dtype: string;
}

/** What an input may be given as: an array alone where at most one dimension is free. ImageData: for uint8 [height, width, 3 or 4]. */
export type Feed = Elements | readonly number[] | { data: Elements | readonly number[]; shape?: readonly number[] } | ImageData;

export interface Input {
  name: string;
  dtype: string;
  /** -1: free. */
  shape: number[];
}

export interface Stats {
  weightsBytes: number;
  arenaBytes: number;
  memoryBytes: number;
  nodes: number;
  /** Which code runs: "wasm" or "wasm_relaxed". */
  level: string;
}

export interface Node {
  name: string;
  op: string;
  /** Over all runs. */
  ms: number;
  /** Computed before the run, a view, or part of another node's run. */
  skipped: boolean;
}

export interface Sources {
  /** The plan: an address, its bytes, or a response that has them. */
  plan: string | URL | ArrayBuffer | ArrayBufferView | Response;
  /** The code; by default the fitting one beside edgeort.js. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

export interface Options {
  /** Time every node. */
  profile?: boolean;
  /** Resolve as soon as the graph is there, for `runStreaming`; weights come behind it. */
  streaming?: boolean;
}

/** A model that is open. Its outputs are copies, which stay. */
export class Model {
  private constructor();
  /** Opens the bundle in a folder, or its parts. Throws an EdgeortError. */
  static open(source: string | URL | Sources, options?: Options): Promise<Model>;
  readonly inputs: Input[];
  readonly outputs: string[];
  readonly stats: Stats;
  /** Runs it. Throws an EdgeortError; after one about an input the model can be used again. */
  run(feeds: Record<string, Feed>): Record<string, Tensor>;
  /** The same while weights are coming, each layer once its own are there. Later it is `run`. */
  runStreaming(feeds: Record<string, Feed>): Promise<Record<string, Tensor>>;
  /** Of a model opened with { streaming: true }: all weights are there, and `run` may be called. */
  readonly loaded: Promise<void>;
  /** Of each node what its runs took; of a model that was opened with { profile: true }. */
  profile(): Node[];
  /** Gives its memory back. */
  close(): void;
}
