// Labels pictures by the module, without a browser; they follow one another, as do their labels:
//
//   node labels.mjs DIST MODEL WIDTH HEIGHT [WIDTH HEIGHT ...] < rgba > labels
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [dist, model, ...sizes] = process.argv.slice(2);
const { load } = await import(pathToFileURL(`${dist}/larq-dense.js`));
const wasm = await WebAssembly.compile(await readFile(`${dist}/engine.wasm`));
const network = await load(wasm, new Uint8Array(await readFile(model)));

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const pixels = new Uint8ClampedArray(Buffer.concat(chunks));
for (let i = 0, at = 0; i < sizes.length; i += 2) {
  const [width, height] = [Number(sizes[i]), Number(sizes[i + 1])];
  const data = pixels.subarray(at, (at += 4 * width * height));
  process.stdout.write(network.labels({ width, height, data }));
}
