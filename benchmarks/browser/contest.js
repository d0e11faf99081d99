// What the page does for python -m benchmarks.browser: opens engines, runs them, and tells the times.
const DTYPES = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array };

async function inputs() {
  const about = await (await fetch("/task.json")).json();
  for (const input of about.inputs) {
    const bytes = await (await fetch(`/inputs/${input.file}`)).arrayBuffer();
    input.data = new DTYPES[input.dtype](bytes);
  }
  return about;
}

// Each gives a function that runs the model once: what a page's author writes.
const engines = {
  async edgeort(about) {
    const { Model } = await import("/bundle/lib/edgeort.js");
    const model = await Model.open("/bundle/", { streaming: true });
    const feeds = Object.fromEntries(about.inputs.map(({ name, data, shape }) => [name, { data, shape }]));
    return { run: async () => (await model.runStreaming(feeds))[about.output].data, level: model.stats.level };
  },
  async edgeort_plain(about) {
    const { Model } = await import("/bundle/lib/edgeort.js");
    const model = await Model.open({ plan: "/bundle/model.plan", wasm: "/bundle/lib/edgeort.wasm" }, { streaming: true });
    const feeds = Object.fromEntries(about.inputs.map(({ name, data, shape }) => [name, { data, shape }]));
    return { run: async () => (await model.runStreaming(feeds))[about.output].data, level: model.stats.level };
  },
  async onnxruntime(about) {
    const ort = await import("/ort/ort.wasm.min.mjs");
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = "/ort/";
    const session = await ort.InferenceSession.create("/model.onnx", { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
    const feeds = Object.fromEntries(about.inputs.map(({ name, dtype, data, shape }) => [name, new ort.Tensor(dtype, data, shape)]));
    return { run: async () => (await session.run(feeds))[about.output].data, level: `onnxruntime-web ${ort.env.versions.web}` };
  },
};

const opened = {};

// Fetches, compiles, opens and runs once, in a page that has done none of it.
async function load(name) {
  const about = await inputs();
  const start = performance.now();
  const engine = await engines[name](about);
  const output = await engine.run();
  const ms = performance.now() - start;
  opened[name] = engine;
  return { ms, level: engine.level, output: Array.from(output) };
}

// Engines in turns, `turn` runs each, in an order that rotates.
async function latencies(names, rounds, turn, warmup) {
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) for (let i = 0; i < warmup; ++i) await opened[name].run();
  for (let round = 0; round < rounds; ++round) {
    for (let k = 0; k < names.length; ++k) {
      const name = names[(k + round) % names.length];
      await opened[name].run();
      for (let i = 0; i < turn; ++i) {
        const start = performance.now();
        await opened[name].run();
        times[name].push(performance.now() - start);
      }
    }
  }
  return times;
}

Object.assign(globalThis, { load, latencies, ready: true });
