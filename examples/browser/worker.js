// Opens the bundle and answers pictures: apart from the page, which stays responsive meanwhile.
import { Model } from "./bundle/lib/edgeort.js";

const SIDE = 224, SHORT_SIDE = 256, MEAN = 127, SCALE = 128, BEST = 5;
const begun = performance.now();
const ready = open();

async function open() {
  const [model, labels] = await Promise.all([Model.open("./bundle/"), names()]);
  postMessage({ ready: performance.now() - begun });
  return { model, labels };
}
ready.catch((error) => postMessage({ error: error.message }));

// A name a line, by class; where there is no such file, classes are numbers.
async function names() {
  const response = await fetch("./labels.txt");
  return response.ok ? (await response.text()).trimEnd().split("\n") : [];
}

// As the model was trained (Tan and Le 2019): short side 256, the middle 224x224, (x - 127) / 128, planes of red, green and blue.
function pixels(bitmap) {
  const scale = SHORT_SIDE / Math.min(bitmap.width, bitmap.height);
  const width = bitmap.width * scale, height = bitmap.height * scale;
  const canvas = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  canvas.imageSmoothingQuality = "high";
  canvas.drawImage(bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  const { data } = canvas.getImageData(0, 0, SIDE, SIDE);
  const image = new Float32Array(3 * SIDE * SIDE);
  for (let i = 0; i < SIDE * SIDE; ++i) {
    for (let channel = 0; channel < 3; ++channel) image[channel * SIDE * SIDE + i] = (data[4 * i + channel] - MEAN) / SCALE;
  }
  return image;
}

function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const powers = Array.from(logits, (x) => Math.exp(x - most)), sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

addEventListener("message", async ({ data: { id, bitmap } }) => {
  try {
    const { model, labels } = await ready;
    const image = pixels(bitmap);
    bitmap.close();
    const start = performance.now();
    const { logits } = model.run({ image });
    const ms = performance.now() - start;
    const shares = softmax(logits.data);
    const best = shares.map((share, index) => ({ index, share, name: labels[index] ?? `class ${index}` }));
    best.sort((a, b) => b.share - a.share);
    postMessage({ id, ms, level: model.stats.level, best: best.slice(0, BEST) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
});
