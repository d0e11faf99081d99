/** What was wrong with a bundle, an input or this engine. */
export class EdgeortError extends Error {
  name = "EdgeortError";
}
