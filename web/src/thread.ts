/** A thread of the engine: works for it until it is ended. */

import { type ThreadStart, emptySystem } from "./engine.js";

interface Exports {
  readonly __stack_pointer: WebAssembly.Global<"i32">;
  larq_dense_engine_lend(engine: number): void;
}

self.onmessage = async ({ data }: MessageEvent<ThreadStart>) => {
  const system = emptySystem(() => data.memory);
  const imports = { wasi_snapshot_preview1: system, env: { memory: data.memory } };
  const instance = await WebAssembly.instantiate(data.wasm, imports);
  const exports = instance.exports as unknown as Exports;
  exports.__stack_pointer.value = data.stack;
  self.postMessage("ready");
  exports.larq_dense_engine_lend(data.engine);
};
