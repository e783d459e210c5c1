/** The engine's C API (`native/include/larq_dense_engine.h`), compiled to WebAssembly. */

/** An error whose message is a sentence for people. */
export class LarqDenseError extends Error {}

interface Exports {
  /** Only where the module has its own: one for threads is given a memory that is shared. */
  readonly memory?: WebAssembly.Memory;
  _initialize(): void;
  malloc(size: number): number;
  free(pointer: number): void;
  larq_dense_engine_open(
    bytes: number, size: number, instructionSet: number, engine: number,
    message: number, messageSize: number,
  ): number;
  larq_dense_engine_close(engine: number): void;
  larq_dense_engine_input(engine: number, i: number, tensor: number): number;
  larq_dense_engine_output(engine: number, i: number, tensor: number): number;
  larq_dense_engine_metadata(engine: number, name: number, size: number): number;
  larq_dense_engine_run(
    engine: number, inputs: number, outputs: number, threads: number,
    message: number, messageSize: number,
  ): number;
}

/** An int8 input or output; a value is `scale * (integer - zeroPoint)`. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zeroPoint: number;
  readonly bytes: number;
}

const MESSAGE_BYTES = 256;
const INT8 = 4;
const MAX_RANK = 6;
const TENSOR_BYTES = 4 * (2 + MAX_RANK + 3);
const WORD = 4;
const STACK_BYTES = 2 ** 18;
// As web/build.py has them, in pages of 64 KiB.
const SHARED_MEMORY = { initial: 2 ** 9, maximum: 2 ** 14, shared: true };

/** What a thread is started with (thread.ts). */
export interface ThreadStart {
  readonly wasm: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The engine to work for. */
  readonly engine: number;
  /** The end of the memory that is the thread's stack. */
  readonly stack: number;
}

/** What the engine asks of WASI: an empty environment, a clock, and an end when memory is lost. */
export function emptySystem(memory: () => WebAssembly.Memory): WebAssembly.ModuleImports {
  return {
    clock_time_get: (_clock: number, _precision: bigint, time: number) => {
      const now = BigInt(Math.round(1e6 * performance.now()));
      new DataView(memory().buffer).setBigUint64(time, now, true);
      return 0;
    },
    environ_get: () => 0,
    environ_sizes_get: (count: number, size: number) => {
      const view = new DataView(memory().buffer);
      view.setUint32(count, 0, true);
      view.setUint32(size, 0, true);
      return 0;
    },
    proc_exit: (status: number) => {
      throw new LarqDenseError(`the engine stopped (${status}); load the page again.`);
    },
  };
}

// (module (func (result v128) i32.const 0 i8x16.splat)): valid where there is SIMD.
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15,
  11,
]);

/** Returns whether this browser has WebAssembly's SIMD instructions. */
export function isSupported(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(SIMD_PROBE);
}

/** An int8 network with one input and one output. */
export class Engine {
  readonly input: Tensor;
  readonly output: Tensor;
  private readonly pointer: number;
  private readonly inputAt: number;
  private readonly outputAt: number;
  private readonly tables: number;
  private readonly message: number;

  /**
   * Opens a network.
   *
   * @param wasm The engine's compiled module.
   * @param model The bytes of an all-int8 `.tflite` file.
   * @param threads With the module for threads, how many work for it, the caller's among them; a
   *   page's main thread may have 1 alone, for it must not wait.
   * @throws LarqDenseError The browser has no SIMD, or the file is damaged or cannot be run.
   */
  static async open(wasm: WebAssembly.Module, model: Uint8Array, threads = 1): Promise<Engine> {
    const shares = WebAssembly.Module.imports(wasm).some(({ kind }) => kind === "memory");
    let memory = shares ? new WebAssembly.Memory(SHARED_MEMORY) : undefined;
    const system = emptySystem(() => memory!);
    const imports = { wasi_snapshot_preview1: system, ...(memory && { env: { memory } }) };
    const instance = await WebAssembly.instantiate(wasm, imports);
    const exports = instance.exports as unknown as Exports;
    memory ??= exports.memory!;
    exports._initialize();
    const engine = new Engine(exports, memory, model);
    if (shares) {
      const starts = Array.from({ length: threads - 1 }, () => engine.startThread(wasm));
      await Promise.all(starts);
    }
    return engine;
  }

  private readonly workers: Worker[] = [];

  private constructor(
    private readonly exports: Exports,
    private readonly memory: WebAssembly.Memory,
    model: Uint8Array,
  ) {
    this.message = this.allocate(MESSAGE_BYTES);
    this.pointer = this.openModel(model);
    this.input = this.describe("input");
    this.output = this.describe("output");
    this.inputAt = this.allocate(this.input.bytes);
    this.outputAt = this.allocate(this.output.bytes);
    this.tables = this.allocate(2 * WORD);
    this.words(this.tables, 2).set([this.inputAt, this.outputAt]);
  }

  /**
   * Runs the network.
   *
   * @param input int8 values of the input's shape, row by row.
   * @returns A copy of the int8 output.
   */
  run(input: Int8Array): Int8Array {
    this.bytes(this.inputAt, this.input.bytes).set(new Uint8Array(input.buffer));
    const status = this.exports.larq_dense_engine_run(
      this.pointer, this.tables, this.tables + WORD, 1 + this.workers.length, this.message,
      MESSAGE_BYTES,
    );
    this.check(status, "the network failed");
    return new Int8Array(this.bytes(this.outputAt, this.output.bytes).slice().buffer);
  }

  /** Returns the bytes that the file holds under a name next to its graph, or null. */
  metadata(name: string): Uint8Array | null {
    const text = this.copyIn(new TextEncoder().encode(`${name}\0`));
    const size = this.allocate(WORD);
    const at = this.exports.larq_dense_engine_metadata(this.pointer, text, size);
    const found = at === 0 ? null : this.bytes(at, this.words(size, 1)[0]!).slice();
    this.exports.free(text);
    this.exports.free(size);
    return found;
  }

  /** Ends the threads. The engine runs no more. */
  close(): void {
    this.workers.forEach((worker) => worker.terminate());
  }

  private async startThread(wasm: WebAssembly.Module): Promise<void> {
    const worker = new Worker(new URL("./thread.js", import.meta.url), { type: "module" });
    const stack = (this.allocate(STACK_BYTES) + STACK_BYTES) & ~15;
    const start: ThreadStart = { wasm, memory: this.memory, engine: this.pointer, stack };
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = () => reject(new LarqDenseError("a thread of the engine did not start."));
      worker.postMessage(start);
    });
    this.workers.push(worker);
  }

  private openModel(model: Uint8Array): number {
    const file = this.copyIn(model);
    const handle = this.allocate(WORD);
    const status = this.exports.larq_dense_engine_open(
      file, model.length, 0, handle, this.message, MESSAGE_BYTES,
    );
    const engine = this.words(handle, 1)[0]!;
    this.exports.free(file);
    this.exports.free(handle);
    this.check(status, "the network cannot be opened");
    return engine;
  }

  private describe(end: "input" | "output"): Tensor {
    const at = this.allocate(TENSOR_BYTES);
    const status = this.exports[`larq_dense_engine_${end}`](this.pointer, 0, at);
    const view = new DataView(this.memory.buffer, at, TENSOR_BYTES);
    const [type, rank] = [view.getInt32(0, true), view.getInt32(WORD, true)];
    if (status !== 0 || type !== INT8) {
      throw new LarqDenseError(`the network's ${end} is not int8; convert it with --int8.`);
    }
    const behind = WORD * (2 + MAX_RANK);
    const shape = Array.from({ length: rank }, (_, i) => view.getInt32(WORD * (2 + i), true));
    const tensor = {
      shape,
      scale: view.getFloat32(behind, true),
      zeroPoint: view.getInt32(behind + WORD, true),
      bytes: view.getUint32(behind + 2 * WORD, true),
    };
    this.exports.free(at);
    return tensor;
  }

  private check(status: number, what: string): void {
    if (status === 0) return;
    const text = this.bytes(this.message, MESSAGE_BYTES);
    const sentence = new TextDecoder().decode(text.slice(0, text.indexOf(0)));
    throw new LarqDenseError(`${what}: ${sentence}.`);
  }

  private allocate(size: number): number {
    const at = this.exports.malloc(size);
    if (at === 0) throw new LarqDenseError("there is too little memory for the network.");
    return at;
  }

  private copyIn(content: Uint8Array): number {
    const at = this.allocate(content.length);
    this.bytes(at, content.length).set(content);
    return at;
  }

  // The memory's buffer is another one after it has grown, so that no view may be kept.
  private bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length);
  }

  private words(at: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, length);
  }
}
