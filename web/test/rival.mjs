// Times the engine and LiteRT.js on the main thread of one page, one thread each, in turn:
//
//   node rival.mjs CHROMIUM ADDRESS OURS.tflite RIVAL.tflite REPEATS
//
// The address serves the folder that benchmarks/browser.py makes.
import { chromium } from "playwright-core";

const [executablePath, address, ours, rival, repeats] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--no-first-run"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
await page.goto(`${address}rival.html`);
const times = await page.evaluate(
  async ([ours, rival, repeats]) => {
    const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
    const { Engine } = await import("./engine.js");
    const engine = await Engine.open(
      await WebAssembly.compile(await bytes("engine.wasm")), await bytes(ours));
    const pixels = new Int8Array(engine.input.bytes).map((_, i) => (i * 37) % 251 - 125);

    const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
    await loadLiteRt("./litertjs/core/wasm/", { threads: false });
    const model = await loadAndCompile(rival, { accelerator: "wasm" });
    const { shape } = model.getInputDetails()[0];
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) =>
      ((i * 37) % 251 - 125) / 128);

    const ways = {
      engine: () => engine.run(pixels),
      liteRt: async () => {
        const input = new Tensor(values, shape);
        const [output] = await model.run([input]);
        const result = await output.data();
        input.delete();
        output.delete();
        return result;
      },
    };
    const times = { engine: [], liteRt: [] };
    for (let i = -3; i < Number(repeats); i++) {
      for (const [name, run] of Object.entries(ways)) {
        const start = performance.now();
        await run();
        if (i >= 0) times[name].push(performance.now() - start);
      }
    }
    return times;
  },
  [ours, rival, repeats],
);
await browser.close();
console.log(JSON.stringify(times));
