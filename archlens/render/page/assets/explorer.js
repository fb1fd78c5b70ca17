// The receptive-field explorer: point at a unit, or step through with the keyboard; every network on the page
// shows what its unit on the same spot sees.

function explorer(subjects) {
  const lenses = subjects.map(makeLens);
  let overlay = "support";
  let pending = false;
  let moving = false;

  // One drawing a frame, however often the pointer moves.
  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      for (const lens of lenses) drawLens(lens, overlay, moving);
    });
  }

  function show(lens, unit, hovering = false) {
    moving = hovering;
    lens.unit = unit;
    const spot = spotOf(lens.subject, lens.layer, unit);
    for (const other of lenses) {
      if (other !== lens) other.unit = unitNear(other.subject, other.layer, rescaled(spot, lens.subject, other.subject));
    }
    lenses.forEach(syncFields);
    draw();
  }

  function pin(lens, unit, layer = lens.layer) {
    state.set({ model: lens.subject.key, layer: layer.name, unit }, "explorer");
  }

  state.onChange(({ model, layer, unit }, from) => {
    const lens = lenses.find((l) => l.subject.key === model);
    if (from === "start") { // every network at its own centre
      lenses.forEach(syncFields);
      draw();
      return;
    }
    lens.layer = lens.subject.byName.get(layer);
    show(lens, unit);
  });

  for (const lens of lenses) wire(lens, show, pin, () => {
    const { model, unit } = state.current;
    show(lenses.find((l) => l.subject.key === model), unit);
  });
  for (const button of document.querySelectorAll("[data-overlay]")) {
    button.addEventListener("click", () => {
      overlay = button.dataset.overlay;
      press("[data-overlay]", button);
      draw();
    });
  }
  sceneControls(draw);
  addEventListener("themechange", draw);
  new ResizeObserver(draw).observe(document.getElementById("lenses"));
  window.archlens = {
    lenses: () => lenses.map((l) => l.seen),
    keys: () => subjects.map((s) => s.key),
    report: (i) => unpack(`report-${i}`),
  };
}

const rescaled = (spot, from, to) =>
  spot.map((px, axis) => (px === null ? null : ((px + 0.5) * to.boxes.size[axis]) / from.boxes.size[axis] - 0.5));

function press(group, pressed) {
  for (const button of document.querySelectorAll(group)) button.setAttribute("aria-pressed", String(button === pressed));
}

// ------------------------------------------------------------------ one lens' pointer, keys and fields

function wire(lens, show, pin, restore) {
  const choose = (index) => {
    const layer = lens.subject.layers[clamp(index, 0, lens.subject.layers.length - 1)];
    const spot = spotOf(lens.subject, lens.layer, lens.unit);
    pin(lens, unitNear(lens.subject, layer, spot), layer);
  };
  lens.pick.addEventListener("change", () => choose(Number(lens.pick.value)));
  for (const button of lens.root.querySelectorAll("[data-step]"))
    button.addEventListener("click", () => choose(lens.layer.index + Number(button.dataset.step)));

  pointing(lens.map, (x, y) => {
    const [rows, columns] = plane(lens.layer.map);
    return unitAt(lens.layer, Math.floor(y * rows), Math.floor(x * columns));
  });
  pointing(lens.input, (x, y) => {
    const [rows, columns] = inputPlane(lens.subject);
    const spot = [Math.floor(y * rows), Math.floor(x * columns)].slice(-lens.subject.boxes.size.length);
    const lead = lens.subject.boxes.size.slice(0, -2).map((n) => Math.floor(n / 2));
    return unitNear(lens.subject, lens.layer, [...lead, ...spot]);
  });

  // Hovering looks, a click stays: the address is not rewritten at every move of the mouse.
  function pointing(view, unitUnder) {
    const under = (event) => {
      const box = view.getBoundingClientRect();
      return unitUnder(clamp((event.clientX - box.left) / box.width, 0, 0.9999), clamp((event.clientY - box.top) / box.height, 0, 0.9999));
    };
    view.addEventListener("pointermove", (event) => show(lens, under(event), true));
    view.addEventListener("pointerleave", restore);
    view.addEventListener("pointerup", (event) => pin(lens, under(event)));
  }

  lens.map.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 8 : 1;
    const [row, column] = planeOf(lens.layer, lens.unit);
    const moves = {
      ArrowUp: [row - far, column], ArrowDown: [row + far, column],
      ArrowLeft: [row, column - far], ArrowRight: [row, column + far],
    };
    if (moves[event.key]) pin(lens, unitAt(lens.layer, ...moves[event.key]));
    else if (event.key === "Home") pin(lens, middle(lens.layer));
    else if (event.key === "PageUp") choose(lens.layer.index - 1);
    else if (event.key === "PageDown") choose(lens.layer.index + 1);
    else return;
    event.preventDefault();
  });
  for (const field of [lens.row, lens.column]) {
    field.addEventListener("change", () =>
      pin(lens, unitAt(lens.layer, Math.round(lens.row.valueAsNumber || 0), Math.round(lens.column.valueAsNumber || 0))));
  }
}

function syncFields(lens) {
  const [rows, columns] = plane(lens.layer.map);
  const [row, column] = planeOf(lens.layer, lens.unit);
  lens.pick.value = String(lens.layer.index);
  Object.assign(lens.row, { max: String(rows - 1), value: String(row) });
  Object.assign(lens.column, { max: String(columns - 1), value: String(column) });
  lens.inputCaption.textContent = `${lens.subject.originName} ${lens.subject.boxes.size.join("x")}`;
  lens.mapCaption.textContent = `map ${lens.layer.map.join("x") || "of one unit"}`;
}

function sceneControls(draw) {
  const file = document.getElementById("picture");
  for (const button of document.querySelectorAll("[data-scene]")) {
    button.addEventListener("click", () => {
      scene.kind = button.dataset.scene;
      press("[data-scene]", button);
      draw();
    });
  }
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    const note = document.getElementById("picture-note");
    try {
      scene.picture = await createImageBitmap(file.files[0]);
      scene.kind = "picture";
      note.textContent = `Shown: ${file.files[0].name}, stretched to the input's size.`;
      press("[data-scene]", null);
      draw();
    } catch {
      note.textContent = `${file.files[0].name} is not a picture that this browser can read.`;
    }
  });
}

// ------------------------------------------------------------------ in words

function fillReading(lens, box, bits, energy, overlay) {
  const { subject, layer, unit } = lens;
  const lines = [["Unit", `${unit.join(", ") || "the only one"} of ${layer.name}`], ["Visible box", boxWords(subject, box, layer)]];
  if (bits && box) lines.push(["Support", supportWords(lens.seen.count, areaOf(box))]);
  else if (overlay === "support" && Array.isArray(box)) lines.push(["Support", "not known: an operation on the way is not understood"]);
  if (energy) lines.push(["Expected field", "drawn: the brighter, the more of the gradient's energy (logarithmic)"]);
  else if (overlay === "expected") lines.push(["Expected field", subject.boxes.energy
    ? `kept for the centre of ${lens.cell.name}; here the support is drawn` : "not derived for this network"]);
  lines.push(["Theoretical", theoryWords(layer.rf)]);
  lens.reading.replaceChildren(...lines.flatMap(([term, words]) => [element("dt", term), element("dd", words)]));
}

function boxWords(subject, box, layer) {
  if (subject.boxes.layers[layer.index] === "many") return "not listed: this layer has too many units";
  if (box === null) return layer.rf?.reason ? `not known beyond ${layer.rf.reason}` : "does not depend on the input";
  if (box === "nothing") return "nothing: all its taps fall on padding";
  const names = box.length === 2 ? ["rows", "columns"] : box.length === 1 ? ["positions"] : box.map((_, d) => `axis ${d}`);
  const sides = box.map(([lo, hi]) => hi - lo + 1);
  const share = product(sides) / product(subject.boxes.size);
  return `${box.map(([lo, hi], d) => `${names[d]} ${lo} to ${hi}`).join(", ")}: ${sides.join("x")} px, ${percent(share)} of the input`;
}

function supportWords(count, within) {
  const pixels = `${number(count)} px`;
  return count === within ? `${pixels}: every pixel of the box` : `${pixels}: ${percent(count / within)} of the box, the rest are holes`;
}

function theoryWords(rf) {
  if (!rf) return "none";
  const path = (own) => `${phases(own.sizes)} px${own.jump ? `, jump ${axes(own.jump)}` : ""}`;
  if (rf.kind === "local" && rf.sizes?.length) return path(rf);
  const beside = rf.local?.sizes?.length ? `; along the local path ${path(rf.local)}` : "";
  return `${rf.kind}${rf.source ? `, since ${rf.source}` : ""}${beside}`;
}
