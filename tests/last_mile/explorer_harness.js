// Draws units in the page's own explorer on canvases that only take notes. Reads {texts, views, asked} from
// standard input, and writes for each unit that is asked for what was drawn.

const given = JSON.parse(require("fs").readFileSync(0, "utf-8"));

class Context {
  constructor() { this.calls = []; }
  getImageData() { return { data: [1, 2, 3, 255] }; }
  createImageData(columns, rows) { return { columns, rows, data: new Float64Array(4 * rows * columns) }; }
  putImageData(image) { this.image = image; }
}
for (const name of ["setTransform", "clearRect", "save", "restore", "scale", "beginPath", "moveTo", "lineTo", "fill",
  "stroke", "fillRect", "strokeRect", "rect", "clip", "drawImage", "ellipse"])
  Context.prototype[name] = function (...args) { this.calls.push([name, ...args]); };

globalThis.OffscreenCanvas = class {
  constructor() { this.context = new Context(); }
  getContext() { return this.context; }
};
globalThis.devicePixelRatio = 1;
globalThis.getComputedStyle = () => ({ getPropertyValue: (name) => name });
globalThis.document = {
  getElementById: (id) => ({ textContent: given.texts[id] }),
  documentElement: { dataset: { theme: "light" } },
};

function view([width, height]) {
  const context = new Context();
  return {
    context, clientWidth: width, clientHeight: height, style: {},
    querySelector: () => ({ width: 0, height: 0, getContext: () => context }),
  };
}

// What is drawn with an image, as rows of opacities of 1.
function opacities({ columns, rows, data }) {
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, c) => data[4 * (r * columns + c) + 3] / 255));
}

function notes({ calls }) {
  const of = (name) => calls.filter(([n]) => n === name).map(([, ...args]) => args);
  const images = of("drawImage").map(([image, ...place]) => ({ place, cells: opacities(image.context.image) }));
  return { rect: of("rect"), strokeRect: of("strokeRect"), images, moveTo: of("moveTo"), lineTo: of("lineTo") };
}

globalThis.harness = async (loadSubject, drawLens, unitNear, spotOf, visibleBox) => {
  const entries = JSON.parse(given.texts.meta).subjects;
  const subjects = await Promise.all(entries.map(loadSubject));
  const out = given.asked.map(({ network, layer, unit, overlay, centre }) => {
    const subject = subjects[network];
    const named = (name) => subject.byName.get(name);
    const lens = {
      subject, root: {}, cell: named(centre), layer: named(layer), unit,
      input: view(given.views.input), map: view(given.views.map),
    };
    drawLens(lens, overlay, false);
    const spot = spotOf(subject, lens.layer, unit);
    const there = subjects.map((s) => unitNear(s, s.byName.get(s.report.class_score), spot));
    return { input: notes(lens.input.context), map: notes(lens.map.context), spot, there };
  });
  process.stdout.write(JSON.stringify(out));
};
