// What an input is given as: typed arrays, numbers, pictures.
import { EdgeortError } from "./errors.js";

const MAX_RANK = 8;

// By edgeort_dtype: name, and what its elements are in JavaScript. Halves and bfloat16 are their bits.
export const DTYPES = [
  ["float32", Float32Array], ["uint8", Uint8Array], ["int8", Int8Array], ["uint16", Uint16Array], ["int16", Int16Array],
  ["int32", Int32Array], ["int64", BigInt64Array], ["bool", Uint8Array], ["float16", Uint16Array], ["float64", Float64Array],
  ["uint32", Uint32Array], ["uint64", BigUint64Array], ["bfloat16", Uint16Array],
];

export function isPicture(value) {
  return value?.data instanceof Uint8ClampedArray && Number.isInteger(value.width) && Number.isInteger(value.height);
}

export function given(input, value, Type) {
  const whole = ArrayBuffer.isView(value) || Array.isArray(value) ? { data: value } : (value ?? {});
  const data = Array.isArray(whole.data) ? fromNumbers(input, whole.data, Type) : whole.data;
  const clamped = data instanceof Uint8ClampedArray && Type === Uint8Array;
  if (!(data instanceof Type) && !clamped) {
    throw EdgeortError.invalid(`input "${input.name}" (${input.dtype}) takes a ${Type.name}, or { data, shape } with one`);
  }
  const shape = whole.shape ?? inferred(input, data.length);
  const length = shape.reduce((all, dim) => all * dim, 1);
  if (!shape.every(Number.isSafeInteger)) throw EdgeortError.invalid(`input "${input.name}" has no whole numbers as shape: ${shape.join("x")}`);
  if (shape.length > MAX_RANK || length !== data.length) {
    throw EdgeortError.invalid(`input "${input.name}" has ${data.length} elements; its shape ${shape.join("x")} has ${length}`);
  }
  return { data, shape };
}

function fromNumbers(input, values, Type) {
  const isWide = Type === BigInt64Array || Type === BigUint64Array;
  try {
    return isWide ? Type.from(values, (value) => BigInt(value)) : Type.from(values);
  } catch (error) {
    throw EdgeortError.invalid(`input "${input.name}" (${input.dtype}) does not take these values: ${error.message}`, { cause: error });
  }
}

// The declared shape; a single free dimension takes what is left of the elements.
function inferred(input, elements) {
  const free = input.shape.filter((dim) => dim < 0).length;
  if (free > 1) throw EdgeortError.invalid(`input "${input.name}" has ${free} free dimensions: give { data, shape }`);
  const fixed = input.shape.reduce((all, dim) => (dim < 0 ? all : all * dim), 1);
  if (free && elements % fixed) {
    const shape = input.shape.map((dim) => (dim < 0 ? "?" : dim)).join("x");
    throw EdgeortError.invalid(`input "${input.name}" has ${elements} elements; its shape ${shape} has a multiple of ${fixed}`);
  }
  return input.shape.map((dim) => (dim < 0 ? Math.floor(elements / fixed) : dim));
}

// A picture for an input of uint8 [height, width, channels], alone or a batch of one: all four channels, or the first three.
export function pixelsOf(input, picture) {
  const { width, height } = picture, channels = input.shape.at(-1), rank = input.shape.length;
  if (picture.data.length !== 4 * width * height) {
    throw EdgeortError.invalid(`the picture for "${input.name}" has ${picture.data.length} bytes; ${width}x${height} has ${4 * width * height}`);
  }
  if (input.dtype !== "uint8" || rank < 3 || rank > 4 || (channels !== 3 && channels !== 4)) {
    throw EdgeortError.invalid(`input "${input.name}" (${input.dtype}, ${input.shape.join("x")}) takes no pictures: those are uint8 [height, width, 3 or 4]`);
  }
  const shape = [...(rank === 4 ? [1] : []), height, width, channels];
  if (channels === 4) return { data: new Uint8Array(picture.data), shape };
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4) {
    data[to++] = picture.data[from];
    data[to++] = picture.data[from + 1];
    data[to++] = picture.data[from + 2];
  }
  return { data, shape };
}
