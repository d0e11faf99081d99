// Runs a program of WASI in Node: node wasi.mjs PROGRAM.wasm [ARGUMENT...]
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, ...rest] = process.argv.slice(2);
try {
  const wasi = new WASI({ version: "preview1", args: [program, ...rest], preopens: { "/": "/" } });
  const instance = await WebAssembly.instantiate(await WebAssembly.compile(await readFile(program)), wasi.getImportObject());
  process.exitCode = wasi.start(instance);
} catch (error) {
  console.error(String(error));
  process.exitCode = 2; // as a harness that fails
}
