// Runs a program of WASI once for each list of arguments in a JSON file, from one compiled module: node --no-warnings many.mjs PROGRAM JOBS.json
// A job is {arguments, stdout}; what it says goes to the file `stdout`, its status to STDOUT.status.
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [program, jobs] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(program));
for (const job of JSON.parse(readFileSync(jobs, "utf8"))) {
  const stdout = openSync(job.stdout, "w");
  const wasi = new WASI({ version: "preview1", args: [program, ...job.arguments], preopens: { "/": "/" }, stdout, stderr: stdout });
  const status = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
  closeSync(stdout);
  writeFileSync(`${job.stdout}.status`, String(status));
}
