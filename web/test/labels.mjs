// Labels a picture by the module, without a browser:
//
//   node labels.mjs DIST MODEL WIDTH HEIGHT < rgba > labels
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [dist, model, width, height] = process.argv.slice(2);
const { load } = await import(pathToFileURL(`${dist}/larq-dense.js`));
const wasm = await WebAssembly.compile(await readFile(`${dist}/engine.wasm`));
const network = await load(wasm, new Uint8Array(await readFile(model)));

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const data = new Uint8ClampedArray(Buffer.concat(chunks));
process.stdout.write(network.labels({ width: Number(width), height: Number(height), data }));
