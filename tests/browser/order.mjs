// The demo page where a picture is read slower than the next one: node order.mjs PAGE.JS. What it asks of a browser stands here.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const elements = {}, reading = [], asked = [], closed = [];
let worker;

class Element {
  handlers = {};
  classList = { add() {}, remove() {} };
  addEventListener(name, handler) {
    this.handlers[name] = handler;
  }
  replaceChildren(...children) {
    this.children = children;
  }
  append() {}
}

globalThis.document = { getElementById: (id) => (elements[id] ??= new Element()), createElement: () => new Element() };
globalThis.Worker = class extends Element {
  constructor() {
    super();
    worker = this;
  }
  postMessage(message) {
    asked.push(message.id);
  }
};
globalThis.createImageBitmap = ({ name }) => new Promise((good) => reading.push(() => good({ close: () => closed.push(name) })));
URL.createObjectURL = ({ name }) => name;
URL.revokeObjectURL = () => {};
await import(`data:text/javascript,${encodeURIComponent(await readFile(process.argv[2], "utf8"))}`);

const turn = () => new Promise((good) => setTimeout(good));
const answer = (data) => worker.handlers.message({ data });
for (const name of ["slow", "quick"]) elements.file.handlers.change({ target: { files: [{ name }] } });
reading[1]();
await turn();
reading[0]();
await turn();
assert.equal(elements.picture.src, "quick");
assert.deepEqual([asked, closed], [[2], ["slow"]]);
answer({ id: 1, error: "of the picture before" });
assert.equal(elements.status.textContent, "Looking.");
answer({ id: 2, best: [{ name: "cat", share: 1 }], ms: 1, level: "wasm" });
assert.equal(elements.status.textContent, "1.0 ms in the model (wasm).");
assert.equal(elements.classes.children.length, 1);
answer({ error: "the model cannot be opened" });
assert.equal(elements.status.textContent, "the model cannot be opened");
