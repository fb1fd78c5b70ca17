// The graphs: drawn by Graphviz, moved and scaled here through the drawing's view box.

function graphs(subjects) {
  for (const subject of subjects) {
    const frame = document.getElementById(`graph-${subject.index}`);
    const drawing = frame?.querySelector("svg");
    if (!drawing) continue;
    const view = panZoom(frame, drawing);
    const boxes = linkNodes(subject, drawing);
    frame.parentElement.querySelector(".zoom")?.addEventListener("click", ({ target }) => {
      const { zoom } = target.dataset;
      if (zoom === "fit") view.fit();
      else if (zoom) view.zoom(Number(zoom));
    });
    state.onChange(({ model, layer }, from) => {
      for (const box of boxes.values()) box.classList.remove("on");
      const box = model === subject.key ? boxes.get(layer) : null;
      if (!box) return;
      box.classList.add("on");
      if (from !== "graph" && from !== "start") view.centre(box);
    });
  }
}

// Layer name -> the graph's box that stands for it (a folded one stands for several). Boxes become buttons.
function linkNodes(subject, drawing) {
  const boxes = new Map();
  drawing.setAttribute("role", "group");
  for (const [id, rows] of Object.entries(subject.boxes.drawn ?? {})) {
    const box = document.getElementById(id);
    if (!box) continue;
    for (const row of rows) boxes.set(subject.layers[row].name, box);
    const layer = subject.layers[rows.at(-1)];
    const open = () => state.set({ model: subject.key, layer: layer.name, unit: middle(layer) }, "graph");
    box.setAttribute("tabindex", "0");
    box.setAttribute("role", "button");
    box.setAttribute("aria-label", rows.length > 1 ? `${subject.layers[rows[0]].name} to ${layer.name}` : layer.name);
    box.addEventListener("click", open);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open();
    });
  }
  return boxes;
}

function panZoom(frame, drawing) {
  const whole = drawing.viewBox.baseVal;
  const home = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view = { ...home };
  drawing.removeAttribute("width");
  drawing.removeAttribute("height");
  const show = () => drawing.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  const perPixel = () => Math.max(view.width / frame.clientWidth, view.height / frame.clientHeight);

  function zoom(factor, cx = view.x + view.width / 2, cy = view.y + view.height / 2) {
    const width = clamp(view.width / factor, home.width / 60, home.width * 1.5);
    const ratio = width / view.width;
    view = { x: cx - (cx - view.x) * ratio, y: cy - (cy - view.y) * ratio, width, height: view.height * ratio };
    show();
  }
  function pan(dx, dy) {
    view.x += dx * perPixel();
    view.y += dy * perPixel();
    show();
  }
  // A point of the window in the drawing's own units.
  function toDrawing({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(drawing.getScreenCTM().inverse());
    return [x, y];
  }
  function middleOf(box) {
    const { left, top, width, height } = box.getBoundingClientRect();
    return toDrawing({ clientX: left + width / 2, clientY: top + height / 2 });
  }

  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== frame) return; // the page scrolls on until one asks
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.002), ...toDrawing(event));
  }, { passive: false });
  const fingers = new Map();
  frame.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, event));
  frame.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) pan(last.clientX - event.clientX, last.clientY - event.clientY);
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((f) => f.pointerId !== event.pointerId);
      const gap = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      zoom(gap(event) / Math.max(gap(last), 1), ...toDrawing(event));
    }
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"])
    frame.addEventListener(end, (event) => fingers.delete(event.pointerId));
  const KEYS = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40] };
  frame.addEventListener("keydown", (event) => {
    if (KEYS[event.key]) pan(...KEYS[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0" || event.key === "Home") fit();
    else return;
    event.preventDefault();
  });

  function fit() { view = { ...home }; show(); }
  // To begin with: large enough to read, from the top.
  function begin() {
    const width = Math.min(home.width, frame.clientWidth);
    const height = Math.min((width * frame.clientHeight) / Math.max(frame.clientWidth, 1), home.height);
    const input = drawing.querySelector("[id$='box-input']");
    const x = input && width < home.width ? middleOf(input)[0] : home.x + home.width / 2;
    view = { x: x - width / 2, y: home.y, width, height };
    show();
  }
  begin();
  function centre(box) {
    const [x, y] = middleOf(box);
    view = { ...view, x: x - view.width / 2, y: y - view.height / 2 };
    show();
  }
  return { zoom, fit, centre };
}
