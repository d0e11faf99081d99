// What edgeort_status of edgeort.h tells, from 1 on.
const CODES = ["FAILED", "OVER_RAM_LIMIT", "INVALID_ARGUMENT", "OUT_OF_MEMORY"];

/** What was wrong with a bundle, an input or this engine. Of inputs and runs, `code` tells what kind of failure. */
export class EdgeortError extends Error {
  name = "EdgeortError";

  static of(status, message) {
    return Object.assign(new EdgeortError(message), { code: CODES[status - 1] ?? CODES[0] });
  }

  static invalid(message, options) {
    return Object.assign(new EdgeortError(message, options), { code: "INVALID_ARGUMENT" });
  }
}
