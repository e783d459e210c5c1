/**
 * Bilinear resampling, antialiased where the size shrinks, with the very roundings of Pillow, by
 * which pictures are resized in Python: labels in a browser then equal those on a PC.
 */

/** The neighbours from which each output position is blended, along one axis. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** Weights of position `i`, from `i * reach` on; they sum to 1. */
  readonly weights: Float64Array;
  readonly reach: number;
}

const FIXED_POINT_BITS = 22;

function makeTaps(source: number, target: number): Taps {
  const scale = source / target;
  const support = Math.max(scale, 1);
  const reach = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Float64Array(target * reach);
  for (let i = 0; i < target; i++) {
    const center = (i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(source, Math.trunc(center + support + 0.5));
    let total = 0;
    for (let k = begin; k < end; k++) {
      const weight = Math.max(0, 1 - Math.abs((k - center + 0.5) * (1 / support)));
      weights[i * reach + k - begin] = weight;
      total += weight;
    }
    for (let k = 0; k < end - begin; k++) weights[i * reach + k]! /= total;
    first[i] = begin;
    count[i] = end - begin;
  }
  return { first, count, weights, reach };
}

/**
 * Resizes a picture.
 *
 * @param pixels Red, green, blue and alpha of each pixel, row by row, as `ImageData` has them.
 * @returns Red, green and blue of each pixel.
 */
export function resizePixels(
  pixels: Uint8ClampedArray,
  width: number,
  height: number,
  newWidth: number,
  newHeight: number,
): Uint8Array {
  const narrow = new Uint8Array(newWidth * height * 3);
  blendBytes(pixels, narrow, makeTaps(width, newWidth), {
    lines: height, readLine: width * 4, readStep: 4, writeLine: newWidth * 3, writeStep: 3,
  });
  const result = new Uint8Array(newWidth * newHeight * 3);
  blendBytes(narrow, result, makeTaps(height, newHeight), {
    lines: newWidth, readLine: 3, readStep: newWidth * 3, writeLine: 3, writeStep: newWidth * 3,
  });
  return result;
}

/** How an axis lies in memory: `lines` of it, and the distances between lines and neighbours. */
interface Strides {
  readonly lines: number;
  readonly readLine: number;
  readonly readStep: number;
  readonly writeLine: number;
  readonly writeStep: number;
}

function blendBytes(from: ArrayLike<number>, to: Uint8Array, taps: Taps, strides: Strides): void {
  const fixed = Int32Array.from(taps.weights, (w) => Math.trunc(0.5 + w * (1 << FIXED_POINT_BITS)));
  for (let i = 0; i < taps.first.length; i++) {
    const weights = i * taps.reach;
    const start = taps.first[i]! * strides.readStep;
    for (let line = 0; line < strides.lines; line++) {
      let red = 1 << (FIXED_POINT_BITS - 1);
      let green = red;
      let blue = red;
      let at = line * strides.readLine + start;
      for (let k = 0; k < taps.count[i]!; k++) {
        const weight = fixed[weights + k]!;
        red += from[at]! * weight;
        green += from[at + 1]! * weight;
        blue += from[at + 2]! * weight;
        at += strides.readStep;
      }
      const place = line * strides.writeLine + i * strides.writeStep;
      to[place] = red >> FIXED_POINT_BITS;
      to[place + 1] = green >> FIXED_POINT_BITS;
      to[place + 2] = blue >> FIXED_POINT_BITS;
    }
  }
}

/** Resizes one plane of numbers. */
export function resizePlane(
  values: Float32Array,
  width: number,
  height: number,
  newWidth: number,
  newHeight: number,
): Float32Array {
  let plane = values;
  if (newWidth !== width) {
    const narrow = new Float32Array(newWidth * height);
    blendFloats(plane, narrow, makeTaps(width, newWidth), {
      lines: height, readLine: width, readStep: 1, writeLine: newWidth, writeStep: 1,
    });
    plane = narrow;
  }
  if (newHeight === height) return plane;
  const result = new Float32Array(newWidth * newHeight);
  blendFloats(plane, result, makeTaps(height, newHeight), {
    lines: newWidth, readLine: 1, readStep: newWidth, writeLine: 1, writeStep: newWidth,
  });
  return result;
}

function blendFloats(from: Float32Array, to: Float32Array, taps: Taps, strides: Strides): void {
  for (let i = 0; i < taps.first.length; i++) {
    const weights = i * taps.reach;
    const start = taps.first[i]! * strides.readStep;
    for (let line = 0; line < strides.lines; line++) {
      let sum = 0;
      let at = line * strides.readLine + start;
      for (let k = 0; k < taps.count[i]!; k++) {
        sum += from[at]! * taps.weights[weights + k]!;
        at += strides.readStep;
      }
      to[line * strides.writeLine + i * strides.writeStep] = sum;
    }
  }
}
