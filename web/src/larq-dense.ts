/**
 * Binary networks for dense prediction in the browser.
 *
 * ```js
 * import { load } from "./larq-dense.js";
 * const network = await load("engine.wasm", "ecssd_int8.tflite");
 * const labels = network.labels(context.getImageData(0, 0, width, height));
 * ```
 */

import { Engine, LarqDenseError, isSupported } from "./engine.js";
import { resizePixels, resizePlane } from "./resampling.js";

export { LarqDenseError, isSupported };

/** A picture, as a canvas gives it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row. */
  readonly data: Uint8ClampedArray;
}

/** What a network is for, as its file tells. */
export interface Spec {
  readonly name: string;
  readonly kind: "segmentation" | "saliency";
  readonly classes: readonly { readonly name: string; readonly color: readonly number[] }[];
  readonly description: string;
  readonly preprocessing: {
    readonly height: number;
    readonly width: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
    /** How a picture of another shape fits in: stretched, if left out, or as it is, on black. */
    readonly fit?: "stretch" | "letterbox";
  };
}

/** Where in the network's input a picture lies. */
interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Loads a network.
 *
 * @param engine Address of `engine.wasm`, or the compiled module.
 * @param model Address of an all-int8 `.tflite` file (`larq-dense convert NAME --int8`), or its
 *   bytes.
 * @param threads With `engine-threads.wasm`, in a worker of a page that is cross-origin isolated:
 *   how many threads work for it.
 * @throws LarqDenseError A file cannot be had or run, or the browser has no SIMD.
 */
export async function load(
  engine: string | URL | WebAssembly.Module,
  model: string | URL | Uint8Array,
  threads = 1,
): Promise<Network> {
  if (!isSupported()) {
    throw new LarqDenseError(
      "this browser has no WebAssembly SIMD, which the networks need; update the browser.",
    );
  }
  const wasm =
    engine instanceof WebAssembly.Module ? engine : await WebAssembly.compile(await fetched(engine));
  const bytes = model instanceof Uint8Array ? model : new Uint8Array(await fetched(model));
  return new Network(await Engine.open(wasm, bytes, threads));
}

async function fetched(address: string | URL): Promise<ArrayBuffer> {
  const failure = `${address} cannot be loaded; check the connection and load the page again.`;
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw new LarqDenseError(failure);
  }
  if (!response.ok) throw new LarqDenseError(failure);
  return response.arrayBuffer();
}

/** A loaded network. Labels equal those of `larq-dense predict` in every pixel. */
export class Network {
  readonly spec: Spec;
  /** The int8 input for each pixel value 0…255, by channel. */
  private readonly quantized: readonly Int8Array[];

  /** @param engine The opened file. */
  constructor(private readonly engine: Engine) {
    const metadata = engine.metadata("larq_dense");
    if (metadata === null) {
      throw new LarqDenseError(
        "the file carries no classes and normalization; make it by larq-dense convert.",
      );
    }
    this.spec = JSON.parse(new TextDecoder().decode(metadata)) as Spec;
    const fit = this.spec.preprocessing.fit ?? "stretch";
    if (fit !== "stretch" && fit !== "letterbox") {
      throw new LarqDenseError(`the file asks for the fit "${fit}", unknown here; update the page.`);
    }
    if (this.spec.preprocessing.mean.length !== 3) {
      throw new LarqDenseError("the network sees other channels than red, green and blue.");
    }
    this.quantized = [0, 1, 2].map((channel) => this.quantizedValues(channel));
  }

  /**
   * Returns the class of each pixel, row by row; of a saliency network 1 where there is an object.
   *
   * @param picture Of any size.
   */
  labels(picture: Picture): Uint8Array {
    const logits = this.logits(picture);
    const best = this.plane(logits, 0, picture);
    if (this.spec.kind === "saliency") return Uint8Array.from(best, (score) => Number(score >= 0));
    const labels = new Uint8Array(best.length);
    for (let channel = 1; channel < this.spec.classes.length; channel++) {
      const scores = this.plane(logits, channel, picture);
      for (let i = 0; i < best.length; i++) {
        if (scores[i]! > best[i]!) {
          best[i] = scores[i]!;
          labels[i] = channel;
        }
      }
    }
    return labels;
  }

  /**
   * Returns the probability, 0…1, that a pixel belongs to the object, row by row.
   *
   * @param picture Of any size.
   * @throws LarqDenseError The network has several classes.
   */
  probabilities(picture: Picture): Float32Array {
    if (this.spec.kind !== "saliency") {
      throw new LarqDenseError(`${this.spec.name} has several classes; use labels().`);
    }
    return this.plane(this.logits(picture), 0, picture).map((score) => 1 / (1 + Math.exp(-score)));
  }

  /** Ends the engine's threads; the network labels no more. */
  close(): void {
    this.engine.close();
  }

  private logits(picture: Picture): Int8Array {
    const { width, height } = this.spec.preprocessing;
    const area = this.area(picture);
    const pixels = resizePixels(
      picture.data, picture.width, picture.height, area.width, area.height,
    );
    const input = new Int8Array(3 * width * height);
    // Black, where the picture does not reach.
    for (let i = 0; i < input.length; i++) input[i] = this.quantized[i % 3]![0]!;
    for (let y = 0; y < area.height; y++) {
      const from = 3 * y * area.width;
      const to = 3 * ((area.top + y) * width + area.left);
      for (let i = 0; i < 3 * area.width; i++) {
        input[to + i] = this.quantized[i % 3]![pixels[from + i]!]!;
      }
    }
    return this.engine.run(input);
  }

  /** Returns where in the network's input a picture lies. */
  private area(picture: Picture): Area {
    const input = this.spec.preprocessing;
    let { width, height } = input;
    if (input.fit === "letterbox") {
      if (height * picture.width <= width * picture.height) {
        width = share(picture.width, height, picture.height);
      } else {
        height = share(picture.height, width, picture.width);
      }
    }
    const left = Math.floor((input.width - width) / 2);
    return { left, top: Math.floor((input.height - height) / 2), width, height };
  }

  private plane(logits: Int8Array, channel: number, picture: Picture): Float32Array {
    const { shape, scale, zeroPoint } = this.engine.output;
    const [height, width, channels] = [shape[1]!, shape[2]!, shape[3]!];
    const values = new Float32Array(height * width);
    for (let i = 0; i < values.length; i++) {
      values[i] = (logits[i * channels + channel]! - zeroPoint) * scale;
    }
    const input = this.spec.preprocessing;
    if (input.fit !== "letterbox") {
      return resizePlane(values, width, height, picture.width, picture.height);
    }
    const scores = resizePlane(values, width, height, input.width, input.height);
    const area = this.area(picture);
    const cut = new Float32Array(area.width * area.height);
    for (let y = 0; y < area.height; y++) {
      const from = (area.top + y) * input.width + area.left;
      cut.set(scores.subarray(from, from + area.width), y * area.width);
    }
    return resizePlane(cut, area.width, area.height, picture.width, picture.height);
  }

  private quantizedValues(channel: number): Int8Array {
    const { mean, std } = this.spec.preprocessing;
    const { scale, zeroPoint } = this.engine.input;
    const float = Math.fround;
    return Int8Array.from({ length: 256 }, (_, value) => {
      const normalized = float(float(value - float(mean[channel]!)) / float(std[channel]!));
      const steps = Math.floor(float(float(normalized / float(scale)) + 0.5)) + zeroPoint;
      return Math.min(127, Math.max(-128, steps));
    });
  }
}

/** Returns `side * part / whole` as a whole number, a half rounded up, and at least 1. */
function share(side: number, part: number, whole: number): number {
  return Math.max(1, Math.floor((2 * side * part + whole) / (2 * whole)));
}

/**
 * Lays the classes' colours over a picture, half and half, in place.
 *
 * @param picture Changed.
 * @param labels From `Network.labels`.
 * @param classes From `Network.spec`; black leaves the picture as it is.
 */
export function overlay(picture: Picture, labels: Uint8Array, classes: Spec["classes"]): void {
  for (let i = 0; i < labels.length; i++) {
    const color = classes[labels[i]!]!.color;
    if (color.every((part) => part === 0)) continue;
    // A half goes to the even neighbour, as NumPy and Uint8ClampedArray round.
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = (picture.data[4 * i + c]! + color[c]!) / 2;
  }
}

/**
 * Makes all but the object transparent, in place.
 *
 * @param picture Changed.
 * @param probabilities From `Network.probabilities`.
 */
export function cutOut(picture: Picture, probabilities: Float32Array): void {
  for (let i = 0; i < probabilities.length; i++) {
    picture.data[4 * i + 3] = 255 * probabilities[i]!;
  }
}
