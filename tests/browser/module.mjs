// The module of a bundle as a program uses it, in Node: node module.mjs BUNDLE PICTURES_BUNDLE PRODUCTS_BUNDLE
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

const [bundle, pictures, products] = process.argv.slice(2).map((path) => pathToFileURL(`${path}/`));
const { EdgeortError, Model, hasRelaxedSimd } = await import(new URL("lib/edgeort.js", bundle));
const golden = await readNpy(new URL("golden/output0.npy", bundle));
const given = await readNpy(new URL("golden/input0.npy", bundle));
const plan = await readFile(new URL("model.plan", bundle));
const deep = new Uint8Array(await readFile(new URL("model.plan", products)));
const deepCode = new URL("lib/edgeort.wasm", products);
const deepX = Float32Array.from({ length: 64 }, (_, i) => (i % 17) / 8 - 1);

async function readNpy(url) {
  const file = await readFile(url), header = file.readUInt16LE(8), text = file.toString("latin1", 10, 10 + header);
  const shape = text.match(/\(([\d, ]*)\)/)[1].split(",").filter((part) => part.trim()).map(Number);
  const bytes = file.buffer.slice(file.byteOffset + 10 + header, file.byteOffset + file.byteLength);
  return { data: text.includes("<f4") ? new Float32Array(bytes) : new Uint8Array(bytes), shape };
}

function near(got, want, tolerance = 1e-4) {
  assert.equal(got.length, want.length);
  const most = want.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  got.forEach((value, i) => assert.ok(Math.abs(value - want[i]) <= tolerance * most, `${i}: ${value}, not ${want[i]}`));
}

test("a folder is opened and run", async () => {
  const model = await Model.open(bundle);
  assert.deepEqual(model.inputs, [{ name: "image", dtype: "float32", shape: [-1, 1, 8, 8] }]);
  assert.deepEqual(model.outputs, ["logits"]);
  const { logits } = model.run({ image: given });
  assert.deepEqual([logits.shape, logits.dtype], [golden.shape, "float32"]);
  near(logits.data, golden.data);
  const { level, weightsBytes, nodes } = model.stats;
  assert.deepEqual([level, weightsBytes], [hasRelaxedSimd() ? "wasm_relaxed" : "wasm", plan.length]);
  assert.ok(nodes > 5);
});

test("both modules answer alike, and each always the same", async () => {
  const answers = [];
  for (const name of ["edgeort.wasm", "edgeort_relaxed.wasm"]) {
    const model = await Model.open({ plan, wasm: await readFile(new URL(`lib/${name}`, bundle)) });
    answers.push(model.run({ image: given }).logits.data);
    assert.deepEqual(model.run({ image: given }).logits.data, answers.at(-1));
  }
  near(answers[0], answers[1]);
});

test("what fails has a code", async () => {
  const model = await Model.open(bundle);
  const wrong = [{ image: { data: new Float32Array(63), shape: [1, 1, 7, 9] } }, { image: new Float32Array(63) }, {}, { other: given }];
  for (const feeds of wrong) assert.throws(() => model.run(feeds), (e) => e instanceof EdgeortError && e.code === "INVALID_ARGUMENT");
  near(model.run({ image: given }).logits.data, golden.data);
  model.close();
});

test("the batch follows from the array, and may change", async () => {
  const model = await Model.open({ plan: plan.buffer.slice(plan.byteOffset, plan.byteOffset + plan.length) });
  for (const batch of [1, 200, 3]) {
    const image = new Float32Array(batch * 64);
    for (let i = 0; i < batch; ++i) image.set(given.data.subarray(0, 64), i * 64);
    const { logits } = model.run({ image });
    assert.deepEqual(logits.shape, [batch, 10]);
    near(logits.data.subarray((batch - 1) * 10), logits.data.subarray(0, 10), 0);
  }
  near(model.run({ image: Array.from(given.data.subarray(0, 64)) }).logits.data, golden.data.subarray(0, 10));
});

test("outputs are copies", async () => {
  const model = await Model.open(bundle), { logits } = model.run({ image: given }), before = logits.data.slice();
  model.run({ image: given.data.map((x) => -x) });
  assert.deepEqual(logits.data, before);
});

test("what is wrong is said", async () => {
  const model = await Model.open(bundle);
  const wrong = [
    [{}, /input "image" is missing/],
    [{ image: given, more: given }, /no input "more"; its inputs are image/],
    [{ image: new Float64Array(64) }, /"image" \(float32\) takes a Float32Array/],
    [{ image: null }, /takes a Float32Array/],
    [{ image: new Float32Array(65) }, /has 65 elements; its shape \?x1x8x8 has a multiple of 64/],
    [{ image: new Float32Array(3) }, /has 3 elements; its shape \?x1x8x8 has a multiple of 64/],
    [{ image: { data: new Float32Array(3), shape: [1, 1, 8, 8] } }, /has 3 elements; its shape 1x1x8x8 has 64/],
    [{ image: { data: new Float32Array(63), shape: [1, 1, 7, 9] } }, /"image": dimension 2 must be 8, not 7/],
    [{ image: { data: new Float32Array(64), shape: [64] } }, /rank 4, not 1/],
    [{ image: { data: new Float32Array(64), shape: [-1, -1, 8, 8] } }, /negative/],
    [{ image: { data: new Float32Array(64), shape: [0.5, 2, 8, 8] } }, /no whole numbers as shape: 0.5x2x8x8/],
    [{ image: { data: new Uint8ClampedArray(256), width: 8, height: 8 } }, /takes no pictures/],
  ];
  for (const [feeds, message] of wrong) assert.throws(() => model.run(feeds), (error) => error instanceof EdgeortError && message.test(error.message));
  near(model.run({ image: given }).logits.data, golden.data);
  model.close();
  assert.throws(() => model.run({ image: given }), /the model is closed/);
  assert.throws(() => model.stats, /the model is closed/);
});

test("what is no bundle is said", async () => {
  await assert.rejects(Model.open(new URL("nowhere/", bundle)), (error) => {
    return error instanceof EdgeortError && /nowhere\/.* cannot be read: ENOENT: no such file or directory \(relative/.test(error.message);
  });
  await assert.rejects(Model.open({ plan: new Uint8Array(1000) }), (error) => error instanceof EdgeortError && /plan/.test(error.message));
  await assert.rejects(Model.open({ plan: plan.subarray(0, plan.length - 1) }), EdgeortError);
  await assert.rejects(Model.open({ plan, wasm: new Uint8Array(8) }), /cannot be compiled/);
  const read = new Response(plan);
  await read.arrayBuffer();
  const gone = new Response(plan, { status: 404, statusText: "Not Found" });
  for (const streaming of [false, true]) {
    for (const [response, message] of [[read, /has been read already/], [gone, /the plan cannot be fetched: 404 Not Found/], [new Response(null), /plan/]]) {
      await assert.rejects(Model.open({ plan: response }, { streaming }), (error) => error instanceof EdgeortError && message.test(error.message));
    }
  }
});

test("a length that is not the plan's is only a guess", async () => {
  const opened = (length) => Model.open({ plan: new Response(plan, { headers: { "Content-Length": length } }) });
  near((await opened("64")).run({ image: given }).logits.data, golden.data);
  await assert.rejects(opened(String(2 ** 32 + 64)), /out of memory for 4294967360 bytes/);
  const model = await opened("2147000000"); // all that follows lies beyond 2 GiB, which take no memory before they are written to
  near(model.run({ image: given }).logits.data, golden.data);
  assert.throws(() => model.run({ image: { data: new Float32Array(64), shape: [64] } }), /rank 4, not 1/);
});

test("the size that is built in is only a guess", async () => {
  const { y } = (await Model.open(products)).run({ x: deepX });
  const root = await mkdtemp(`${tmpdir()}/edgeort-`);
  try {
    for (const bytes of [64, deep.length, 2 ** 25, 2 ** 32]) { // for the last there is no room
      const folder = pathToFileURL(`${root}/${bytes}/`), module = new URL("lib/edgeort.js", folder);
      await cp(products, folder, { recursive: true });
      const text = await readFile(module, "utf8"), line = `const PLAN_BYTES = ${deep.length};`;
      assert.ok(text.includes(line));
      await writeFile(module, text.replace(line, `const PLAN_BYTES = ${bytes};`));
      const model = await (await import(module)).Model.open(folder);
      assert.deepEqual(model.run({ x: deepX }).y, y);
      assert.equal(model.stats.memoryBytes > 2 ** 25, bytes === 2 ** 25, "room for it is made before it comes");
    }
  } finally {
    await rm(root, { recursive: true });
  }
});

// A response whose bytes come when they are asked for: arrive(n) lets the next n come, all without a number.
function slow(bytes, type = "bytes") {
  let controller, at = 0, isCancelled = false;
  const body = new ReadableStream({ type, start: (own) => void (controller = own), cancel: () => void (isCancelled = true) });
  const arrive = async (n = bytes.length - at) => {
    if (n) controller.enqueue(bytes.slice(at, at + n));
    at += n;
    for (let i = 0; i < 20; ++i) await new Promise(setImmediate);
  };
  const end = () => {
    controller.close();
    controller.byobRequest?.respond(0);
  };
  return { response: new Response(body), arrive, end, fail: (error) => controller.error(error), isCancelled: () => isCancelled };
}

test("memory that is touched until the code is there keeps what has come", { timeout: 60000 }, async () => {
  const address = "http://edgeort.test/", text = await readFile(new URL("lib/edgeort.js", products), "utf8");
  const module = text.replaceAll("import.meta.url", `"${address}lib/edgeort.js"`).replace(/(PLAN_BYTES =) \d+/, `$1 ${2 ** 23}`);
  const { Model: Fetching } = await import(`data:text/javascript,${encodeURIComponent(module)}`);
  const { response, arrive, end } = slow(deep), genuine = globalThis.fetch;
  let give;
  const code = new Promise((good) => (give = good));
  globalThis.fetch = async (url) => (String(url) === `${address}model.plan` ? response : code);
  try {
    await arrive(200000);
    const opening = Fetching.open(address, { streaming: true });
    for (let i = 0; i < 5; ++i) await arrive(20000);
    give(new Response(await readFile(new URL(`lib/edgeort${hasRelaxedSimd() ? "_relaxed" : ""}.wasm`, products))));
    const model = await opening, running = model.runStreaming({ x: deepX });
    await arrive();
    end();
    const { y } = (await Model.open(products)).run({ x: deepX });
    assert.deepEqual((await running).y, y);
  } finally {
    globalThis.fetch = genuine;
  }
});

test("a model is opened and run while its weights come", async () => {
  for (const type of ["bytes", undefined]) {
    const { response, arrive, end } = slow(deep, type), opening = Model.open({ plan: response, wasm: deepCode }, { streaming: true, profile: true });
    for (const bytes of [100, 92, 1, 60000]) await arrive(bytes);
    const model = await opening;
    let answer;
    assert.deepEqual(model.outputs, ["y"]);
    assert.throws(() => model.run({ x: deepX }), /weights are still coming: await model.loaded/);
    const first = model.runStreaming({ x: deepX }).then((found) => (answer = found));
    const second = model.runStreaming({ x: deepX });
    await arrive(160000); // the first product's, not the second's
    const ran = () => model.profile().filter((row) => row.ms > 0).length;
    for (let left = 10000; !ran() && left; --left) await new Promise(setImmediate);
    assert.ok(ran() > 0 && ran() < model.profile().filter((row) => !row.skipped).length, `${ran()} nodes ran`);
    assert.equal(answer, undefined);
    await arrive();
    await first;
    assert.deepEqual(model.run({ x: deepX }).y, answer.y);
    end();
    await model.loaded;
    assert.deepEqual(model.run({ x: deepX }).y, answer.y);
    assert.deepEqual([(await second).y, (await model.runStreaming({ x: deepX })).y], [answer.y, answer.y]);
    assert.deepEqual((await Model.open({ plan: deep, wasm: deepCode })).run({ x: deepX }).y, answer.y);
  }
});

test("what comes whole may be streamed, too", async () => {
  const model = await Model.open(bundle, { streaming: true });
  near((await model.runStreaming({ image: given })).logits.data, golden.data);
  near(model.run({ image: given }).logits.data, golden.data);
  near((await Model.open({ plan }, { streaming: true })).run({ image: given }).logits.data, golden.data);
});

test("a stream that breaks is said", async () => {
  const early = async (rest, bytes = deep) => {
    const source = slow(bytes), opening = Model.open({ plan: source.response, wasm: deepCode }, { streaming: true });
    await source.arrive(60000);
    const model = await opening, running = model.runStreaming({ x: deepX });
    await Promise.all([rest(source, model), assert.rejects(running, EdgeortError), assert.rejects(model.loaded, EdgeortError)]);
    return model;
  };
  const broken = await early((source) => source.fail(new TypeError("the line is cut")));
  await assert.rejects(broken.runStreaming({ x: deepX }), /the plan cannot be fetched: the line is cut/);
  assert.throws(() => broken.run({ x: deepX }), /the plan cannot be fetched: the line is cut/);
  await early((source) => source.fail("gone"));
  await early((source) => source.fail(undefined));
  await early((source) => source.end());
  const cancelled = [];
  const longer = Uint8Array.from({ length: deep.length + 64 }, (_, i) => deep[i] ?? 0);
  await early(async (source) => (await source.arrive(), cancelled.push(source.isCancelled())), longer);
  await early(async (source, model) => (model.close(), await source.arrive(0), cancelled.push(source.isCancelled())));
  assert.deepEqual(cancelled, [true, true], "what nobody takes is no longer sent");
  const whole = slow(new Uint8Array(100000));
  const opening = Model.open({ plan: whole.response, wasm: deepCode }, { streaming: true });
  await whole.arrive();
  whole.end();
  await assert.rejects(opening, (error) => error instanceof EdgeortError && /not an edgeort plan/.test(error.message));
});

test("an input that is wrong does not end a stream", async () => {
  const { response, arrive, end } = slow(deep), opening = Model.open({ plan: response, wasm: deepCode }, { streaming: true });
  await arrive(60000);
  const model = await opening;
  await assert.rejects(model.runStreaming({}), /input "x" is missing/);
  await assert.rejects(model.runStreaming({ x: new Float32Array(63) }), /has 63 elements/);
  const running = model.runStreaming({ x: deepX });
  await arrive();
  end();
  assert.deepEqual((await running).y.shape, [1, 64]);
});

test("nodes are timed when asked", async () => {
  const model = await Model.open(bundle, { profile: true });
  for (let i = 0; i < 50; ++i) model.run({ image: given });
  const rows = model.profile();
  assert.equal(rows.length, model.stats.nodes);
  assert.ok(rows.some((row) => row.ms > 0 && !row.skipped && row.op && row.name));
  assert.ok((await Model.open(bundle)).profile().every((row) => row.ms === 0));
});

test("a picture is an input", async () => {
  const model = await Model.open(pictures);
  const picture = { data: Uint8ClampedArray.from({ length: 4 * 6 * 5 }, (_, i) => i), width: 5, height: 6 };
  const { y } = model.run({ x: picture, more: [3] }); // numbers, for int64
  const rgb = Uint8Array.from({ length: 3 * 6 * 5 }, (_, i) => 4 * Math.floor(i / 3) + (i % 3));
  assert.deepEqual(y, model.run({ x: { data: rgb, shape: [6, 5, 3] }, more: BigInt64Array.of(3n) }).y);
  assert.deepEqual(Array.from(y.data), Array.from(rgb, (value) => 2 * value + 3));
  assert.throws(() => model.run({ x: { ...picture, width: 4 }, more: [3] }), /has 120 bytes/);
  assert.throws(() => model.run({ x: picture, more: [0.5] }), (error) => error instanceof EdgeortError && /"more" \(int64\)/.test(error.message));
});

test("a worker runs it", async () => {
  const code = `import { parentPort, workerData } from "node:worker_threads";
    const { Model } = await import(workerData.module);
    const model = await Model.open(workerData.bundle);
    parentPort.postMessage(model.run({ image: workerData.image }).logits);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { module: String(new URL("lib/edgeort.js", bundle)), bundle: String(bundle), image: given.data },
  });
  const answer = await new Promise((good, bad) => worker.once("message", good).once("error", bad));
  near(answer.data, golden.data);
});
