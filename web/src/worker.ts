/** Runs the network in a worker, so that the page stays responsive. */

import { LarqDenseError, Network, cutOut, load, overlay } from "./larq-dense.js";

/** What the page asks for. */
export type Request =
  | { readonly kind: "load"; readonly model: string }
  | { readonly kind: "label"; readonly picture: ImageData; readonly view: View };

export type View = "overlay" | "cutout" | "labels";

/** What comes back, in the order of the requests. */
export type Reply =
  | { readonly kind: "loaded"; readonly name: string; readonly description: string;
      readonly saliency: boolean; readonly threads: number }
  | { readonly kind: "labelled"; readonly picture: ImageData; readonly milliseconds: number }
  | { readonly kind: "failed"; readonly sentence: string };

// Memory is shared only where the page is cross-origin isolated. More than four threads gain little.
const THREADS = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

let engine: WebAssembly.Module | undefined;
let network: Network | undefined;
let turn: Promise<void> = Promise.resolve();

self.onmessage = (event: MessageEvent<Request>) => {
  turn = turn.then(() => answer(event.data));
};

async function answer(request: Request): Promise<void> {
  try {
    const reply = request.kind === "load" ? await open(request.model) : label(request);
    self.postMessage(reply);
  } catch (error) {
    const known = error instanceof LarqDenseError;
    const sentence = known ? error.message : `the network stopped working (${error}); load it again.`;
    self.postMessage({ kind: "failed", sentence } satisfies Reply);
  }
}

async function open(model: string): Promise<Reply> {
  engine ??= await compileEngine();
  network?.close();
  network = await load(engine, model, THREADS);
  const { name, description, kind } = network.spec;
  return { kind: "loaded", name, description, saliency: kind === "saliency", threads: THREADS };
}

async function compileEngine(): Promise<WebAssembly.Module> {
  const file = THREADS > 1 ? "engine-threads.wasm" : "engine.wasm";
  const response = await fetch(file).catch(() => undefined);
  if (!response?.ok) {
    throw new LarqDenseError(`${file} cannot be loaded; check the connection and try again.`);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}

function label({ picture, view }: Extract<Request, { kind: "label" }>): Reply {
  if (network === undefined) throw new LarqDenseError("no network is loaded; choose one first.");
  const began = performance.now();
  if (view === "cutout") {
    cutOut(picture, network.probabilities(picture));
  } else {
    const labels = network.labels(picture);
    if (view === "overlay") overlay(picture, labels, network.spec.classes);
    else paint(picture, labels);
  }
  return { kind: "labelled", picture, milliseconds: performance.now() - began };
}

/** Writes the class of each pixel into red, green and blue. */
function paint(picture: ImageData, labels: Uint8Array): void {
  labels.forEach((value, i) => picture.data.set([value, value, value, 255], 4 * i));
}
