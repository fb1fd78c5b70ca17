// One network under the explorer: a layer, one of its units, and what that unit sees, drawn on the input.
//
// Maps of any number of dimensions are shown as a plane: the last one across, the others down.

function makeLens(subject) {
  const root = document.getElementById(`lens-${subject.index}`);
  const find = (part) => root.querySelector(`[data-part="${part}"]`);
  const cell = subject.byName.get(subject.report.class_score) ?? subject.layers.at(-1);
  const lens = {
    subject, root, cell, layer: cell, unit: middle(cell),
    pick: find("pick"), input: find("input"), map: find("map"),
    inputCaption: find("input-caption"), mapCaption: find("map-caption"),
    row: find("row"), column: find("column"), reading: find("reading"),
  };
  lens.pick.append(...subject.layers.map((layer, i) => new Option(layer.name, String(i))));
  return lens;
}

const plane = (sizes) => (sizes.length ? [product(sizes.slice(0, -1)), sizes.at(-1)] : [1, 1]);
const inputPlane = (subject) => [1, 1, ...subject.boxes.size].slice(-2);

function planeOf(layer, unit) {
  let row = 0;
  for (let d = 0; d < unit.length - 1; d++) row = row * layer.map[d] + unit[d];
  return [row, unit.length ? unit.at(-1) : 0];
}

function unitAt(layer, row, column) {
  const [rows, columns] = plane(layer.map);
  let rest = clamp(row, 0, rows - 1);
  const unit = layer.map.length ? [clamp(column, 0, columns - 1)] : [];
  for (let d = layer.map.length - 2; d >= 0; d--) {
    unit.unshift(rest % layer.map[d]);
    rest = Math.floor(rest / layer.map[d]);
  }
  return unit;
}

// ------------------------------------------------------------------ the same spot in another network

// Where a unit's field is centred, in pixels of the input, per axis; null where the layer has no such axis.
function spotOf(subject, layer, unit) {
  return subject.boxes.size.map((size, axis) => {
    const here = coordinate(layer.node, unit, axis);
    if (!here) return null;
    const own = path(layer.rf, axis);
    return own ? own.start + (own.size - 1) / 2 + here.index * own.jump : ((here.index + 0.5) / here.total) * size - 0.5;
  });
}

function unitNear(subject, layer, spot) {
  const targets = subject.boxes.size.map((size, axis) => {
    const zero = coordinate(layer.node, layer.map.map(() => 0), axis);
    if (!zero || spot[axis] === null || spot[axis] === undefined) return null;
    const own = path(layer.rf, axis);
    const index = own
      ? (spot[axis] - own.start - (own.size - 1) / 2) / own.jump
      : ((spot[axis] + 0.5) / size) * zero.total - 0.5;
    return clamp(Math.round(index), 0, zero.total - 1);
  });
  return layer.node.positions.map((dim, k) => {
    let index = 0, known = true;
    for (const [axis, size, stride] of layer.node.layout[dim]) {
      if (axis < 0) { index *= size; continue; }
      known &&= stride > 0 && targets[axis] !== null;
      index = index * size + (known ? Math.floor(targets[axis] / stride) % size : 0);
    }
    return known ? clamp(index, 0, layer.map[k] - 1) : Math.floor(layer.map[k] / 2);
  });
}

// A unit's index along an axis of the input: the sum of index * stride over the factors that run along it.
function coordinate(node, unit, axis) {
  let index = 0, total = 1, found = false;
  node.positions.forEach((dim, k) => {
    let rest = unit[k];
    for (const [a, size, stride] of [...node.layout[dim]].reverse()) {
      const digit = rest % size;
      rest = Math.floor(rest / size);
      if (a !== axis) continue;
      found = stride > 0;
      index += digit * stride;
      total += (size - 1) * stride;
    }
  });
  return found ? { index, total } : null;
}

function path(rf, axis) {
  const own = rf && (rf.local ?? rf);
  const [size, jump, start] = [own?.size?.[axis], own?.jump?.[axis], own?.start?.[axis]];
  return jump && Number.isFinite(size) && Number.isFinite(start) ? { size, jump, start } : null;
}

// ------------------------------------------------------------------ drawing

const MOST_PIXELS = 2e6; // of an input whose support is walked at every move of the pointer

function drawLens(lens, overlay, moving) {
  const { subject, layer, unit } = lens;
  const box = visibleBox(subject, layer, unit);
  const isCentre = layer === lens.cell && String(unit) === String(middle(layer));
  const energy = overlay === "expected" && isCentre ? subject.boxes.energy : null;
  const light = !moving || product(subject.boxes.size) < MOST_PIXELS;
  const wanted = overlay !== "box" && light && !energy && box && box !== "nothing";
  const read = wanted ? support(subject.graph, subject.boxes.origin, nodeOf(subject, layer), unit) : null;
  const count = read ? read.reduce((sum, bit) => sum + bit, 0) : 0;
  const holes = read && count < areaOf(box); // without any there is nothing to shade inside the box
  lens.seen = { box, support: read, unit, layer: layer.name, count };
  drawInput(lens, box, holes ? flat(read, subject.boxes.size) : null, energy);
  drawMap(lens);
  fillReading(lens, box, read, energy, light ? overlay : "box");
}

const areaOf = (box) => box.reduce((all, [lo, hi]) => all * (hi - lo + 1), 1);
const nodeOf = (subject, layer) => subject.graph.layers[layer.index].nodes.at(-1);

// A volume seen from its first axis: a pixel is read where any slice of it is.
function flat(bits, size) {
  if (size.length < 3) return bits;
  const area = size.at(-1) * size.at(-2);
  const out = new Uint8Array(area);
  bits.forEach((bit, i) => { out[i % area] |= bit; });
  return out;
}

function surface(view, rows, columns) {
  const canvas = view.querySelector("canvas");
  view.style.aspectRatio = String(clamp(columns / rows, 0.25, 6));
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const width = Math.max(1, Math.round(view.clientWidth * ratio)), height = Math.max(1, Math.round(view.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const g = canvas.getContext("2d");
  g.setTransform(1, 0, 0, 1, 0, 0);
  g.clearRect(0, 0, width, height);
  return { g, width, height, ratio };
}

function drawInput(lens, box, bits, energy) {
  const [rows, columns] = inputPlane(lens.subject);
  const { g, width, height, ratio } = surface(lens.input, rows, columns);
  const style = getComputedStyle(lens.root);
  const own = style.getPropertyValue("--own").trim(), shade = style.getPropertyValue("--shade").trim();
  paintScene(g, width, height, isDark());
  const sx = width / columns, sy = height / rows;
  if (rows > 1) paintRuler(g, sx, [rows, columns], isDark());
  if (box === null) return;
  const frame = box === "nothing" ? null : frameOf(box, sx, sy);
  g.fillStyle = shade;
  g.beginPath();
  g.rect(0, 0, width, height);
  if (frame) g.rect(...frame);
  g.fill("evenodd");
  // What is not read stays in the shade: the picture is seen as the unit sees it.
  const veil = energy 
    ? tinted(energy.size, shade, (i) => 1 - energy.values[i] / 235)
    : bits && tinted([rows, columns], shade, (i) => 1 - bits[i]);
  if (veil && frame) {
    g.save();
    g.beginPath();
    g.rect(...frame);
    g.clip();
    g.imageSmoothingEnabled = Boolean(energy) || sx < 1;
    g.drawImage(veil, 0, 0, width, height);
    g.restore();
  }
  if (!frame) return;
  const line = 2 * ratio, [x, y, w, h] = frame;
  g.lineWidth = line;
  g.strokeStyle = own;
  g.strokeRect(clamp(x, line / 2, width), clamp(y, line / 2, height), Math.min(w, width - line), Math.min(h, height - line));
  drawSpot(g, lens, sx, sy, ratio);
}

function frameOf(box, sx, sy) {
  const [[top, bottom], [left, right]] = [[0, 0], ...box].slice(-2);
  return [left * sx, top * sy, (right - left + 1) * sx, (bottom - top + 1) * sy];
}

function drawSpot(g, lens, sx, sy, ratio) {
  const spot = [0, ...spotOf(lens.subject, lens.layer, lens.unit)].slice(-2);
  if (spot.includes(null)) return;
  const x = (spot[1] + 0.5) * sx, y = (spot[0] + 0.5) * sy;
  for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
    g.strokeStyle = colour;
    g.lineWidth = wide * ratio;
    g.beginPath();
    g.moveTo(x - 7 * ratio, y);
    g.lineTo(x + 7 * ratio, y);
    g.moveTo(x, y - 7 * ratio);
    g.lineTo(x, y + 7 * ratio);
    g.stroke();
  }
}

// A picture of one colour whose opacity, 0 to 1 of the colour's own, is asked for each pixel.
function tinted([rows, columns], colour, opacity) {
  const canvas = new OffscreenCanvas(columns, rows);
  const g = canvas.getContext("2d");
  g.fillStyle = colour;
  g.fillRect(0, 0, 1, 1);
  const [red, green, blue, full] = g.getImageData(0, 0, 1, 1).data;
  const image = g.createImageData(columns, rows);
  for (let i = 0, at = 0; i < rows * columns; i++) {
    image.data[at++] = red;
    image.data[at++] = green;
    image.data[at++] = blue;
    image.data[at++] = full * opacity(i);
  }
  g.putImageData(image, 0, 0);
  return canvas;
}

// The map: brighter cells see more of the image; the chosen one is framed.
function drawMap(lens) {
  const { subject, layer } = lens;
  const [rows, columns] = plane(layer.map);
  const { g, width, height, ratio } = surface(lens.map, rows, columns);
  const style = getComputedStyle(lens.root);
  const own = style.getPropertyValue("--own").trim();
  g.imageSmoothingEnabled = false;
  g.drawImage(sharesOf(lens, own), 0, 0, width, height);
  const cw = width / columns, ch = height / rows;
  if (Math.min(cw, ch) >= 5 * ratio) {
    g.strokeStyle = style.getPropertyValue("--line").trim();
    g.lineWidth = 1;
    g.beginPath();
    for (let c = 1; c < columns; c++) { g.moveTo(c * cw, 0); g.lineTo(c * cw, height); }
    for (let r = 1; r < rows; r++) { g.moveTo(0, r * ch); g.lineTo(width, r * ch); }
    g.stroke();
  }
  const [row, column] = planeOf(layer, lens.unit);
  const side = Math.max(cw, 7 * ratio), tall = Math.max(ch, 7 * ratio);
  g.strokeStyle = style.getPropertyValue("--text").trim();
  g.lineWidth = 2.5 * ratio;
  g.strokeRect((column + 0.5) * cw - side / 2, (row + 0.5) * ch - tall / 2, side, tall);
}

const MOST_CELLS = 256; // a side: more than a screen shows of a map

// How much of the image each cell sees, as a picture; kept until the layer or the theme changes.
function sharesOf(lens, own) {
  const { subject, layer } = lens;
  if (lens.shares?.layer === layer && lens.shares.own === own) return lens.shares.picture;
  const [rows, columns] = plane(layer.map);
  const [high, wide] = [Math.min(rows, MOST_CELLS), Math.min(columns, MOST_CELLS)];
  const whole = product(subject.boxes.size);
  const picture = tinted([high, wide], own, (i) => {
    const row = Math.floor(((Math.floor(i / wide) + 0.5) * rows) / high);
    const column = Math.floor((((i % wide) + 0.5) * columns) / wide);
    const box = visibleBox(subject, layer, unitAt(layer, row, column));
    if (!Array.isArray(box)) return 0;
    return 0.1 + (0.6 * areaOf(box)) / whole;
  });
  lens.shares = { layer, own, picture };
  return picture;
}
