// What the page carries: reports and intervals, compressed JSON in <script type="text/plain">.

const meta = JSON.parse(document.getElementById("meta").textContent);

function bytes(base64) {
  return Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
}

async function inflate(base64, format) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(id) {
  const text = document.getElementById(id).textContent;
  return JSON.parse(new TextDecoder().decode(await inflate(text, "deflate-raw")));
}

// A subject is one network of the page: its report, its graph and the boxes of all its units.
async function loadSubject(entry) {
  const report = await unpack(`report-${entry.index}`);
  const boxes = await unpack(`intervals-${entry.index}`);
  for (const a of boxes.arrays) {
    const values = Int32Array.from(a[1]);
    for (let i = 1; i < values.length; i++) values[i] += values[i - 1];
    a[1] = values;
  }
  for (const node of report.graph.nodes) {
    node.positions = node.layout.flatMap((atoms, d) => (atoms.some((a) => a[0] >= 0) ? [d] : []));
  }
  await unpackMasks(report.graph);
  const subject = { ...entry, report, graph: report.graph, boxes };
  subject.layers = report.layers.map((row, i) => {
    const node = report.graph.nodes[report.graph.layers[i].nodes.at(-1)];
    return { ...row, index: i, node, map: node.positions.map((d) => node.shape[d]) };
  });
  subject.byName = new Map(subject.layers.map((layer) => [layer.name, layer]));
  return subject;
}

// Constant masks of attention: packed bits, compressed. Inflated once, so that the walk need not wait.
async function unpackMasks(graph) {
  for (const node of graph.nodes) {
    for (const [, steps] of node.edges) {
      for (const step of steps) {
        if (step[0] !== "keep") continue;
        const packed = await inflate(step[2], "deflate");
        const size = step[1].reduce((a, b) => a * b, 1);
        step[3] = Uint8Array.from({ length: size }, (_, i) => (packed[i >> 3] >> (7 - (i & 7))) & 1);
      }
    }
  }
}

// The visible box of a unit: [[lo, hi], ...] per axis of the input, inclusive; "nothing"; null: not known, or not listed.
function visibleBox(subject, layer, unit) {
  const pairs = subject.boxes.layers[layer.index];
  if (!Array.isArray(pairs)) return null;
  const box = pairs.map((pair) => pair.map((index) => at(subject.boxes.arrays[index], unit)));
  return box.some(([lo, hi]) => lo > hi) ? "nothing" : box;
}

function at([shape, values], unit) {
  let index = 0;
  for (let d = 0; d < shape.length; d++) index = index * shape[d] + (shape[d] === 1 ? 0 : unit[d]);
  return values[index];
}
