// The page: takes a picture, asks the worker, shows the five best classes and how long the model took.
const element = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
let asked = 0;

worker.addEventListener("error", (event) => say(`The worker failed: ${event.message}`));
worker.addEventListener("message", ({ data }) => {
  if (data.id && data.id !== asked) return;
  if (data.error) return say(data.error);
  if (data.ready) return asked || say(`Ready after ${data.ready.toFixed(0)} ms.`);
  show(data);
});

function say(text) {
  element("status").textContent = text;
}

async function classify(file) {
  const id = ++asked;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return id === asked && say(`${file.name} is no picture that this browser reads.`);
  }
  if (id !== asked) return bitmap.close(); // another was chosen while this one was read
  const picture = element("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.alt = file.name;
  picture.hidden = false;
  say("Looking.");
  worker.postMessage({ id, bitmap }, [bitmap]);
}

function show({ best, ms, level }) {
  say(`${ms.toFixed(1)} ms in the model (${level}).`);
  element("classes").replaceChildren(
    ...best.map(({ name, share }) => {
      const item = document.createElement("li"), meter = document.createElement("meter");
      meter.value = share;
      item.append(`${name}, ${(100 * share).toFixed(1)} %`, meter);
      return item;
    }),
  );
}

element("file").addEventListener("change", ({ target }) => target.files[0] && classify(target.files[0]));
element("drop").addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
element("drop").addEventListener("dragleave", () => element("drop").classList.remove("over"));
element("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) classify(event.dataTransfer.files[0]);
});
