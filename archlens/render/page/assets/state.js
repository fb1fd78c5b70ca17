// What is selected: one layer of one network and one of its units. It stands in the address, so that a link
// leads back to it: #model=pspnet&layer=head.conv5&unit=32,32. Whoever draws it subscribes.

const state = {
  current: null,
  listeners: [],
  onChange(listener) { this.listeners.push(listener); },

  // `from` is the view that caused the change; it need not scroll to what it shows already.
  set(next, from) {
    this.current = next;
    const hash = hashOf(next);
    if (location.hash !== hash) history.replaceState(null, "", hash);
    for (const listener of this.listeners) listener(next, from);
  },
};

function hashOf({ model, layer, unit }) {
  const words = new URLSearchParams({ model, layer });
  if (unit && unit.length) words.set("unit", unit.join(","));
  return `#${words}`;
}

// The selection that the address names, or null where it names none that is on this page.
function fromHash(subjects) {
  const words = new URLSearchParams(location.hash.slice(1));
  const subject = subjects.find((s) => s.key === words.get("model"));
  const layer = subject && subject.byName.get(words.get("layer") ?? subject.report.class_score);
  if (!layer) return null;
  const unit = (words.get("unit") ?? "").split(",").map(Number);
  const fits = unit.length === layer.map.length && unit.every((u, d) => Number.isInteger(u) && u >= 0 && u < layer.map[d]);
  return { model: subject.key, layer: layer.name, unit: fits ? unit : middle(layer) };
}

const middle = (layer) => layer.map.map((n) => Math.floor(n / 2));

// The strip at the foot of the window: what is selected, and the ways to the other places that show it.
function selectionBar(subjects) {
  const bar = document.getElementById("selection");
  const text = bar.querySelector("p");
  state.onChange(({ model, layer }, from) => {
    if (from === "start") return;
    const subject = subjects.find((s) => s.key === model);
    text.replaceChildren(dot(subject), element("b", layer), ` of ${subject.name}`);
    bar.hidden = false;
  });
  bar.addEventListener("click", ({ target }) => {
    const { goto } = target.dataset;
    if (goto === "close") { bar.hidden = true; return; }
    const subject = subjects.find((s) => s.key === state.current.model);
    const row = document.getElementById(`r${subject.index}-${subject.byName.get(state.current.layer).index}`);
    if (goto === "row") reveal(row);
    if (goto === "graph") reveal(document.querySelector(`#graph-${subject.index} .on`) ?? document.getElementById(`graph-${subject.index}`));
    if (goto === "explorer") reveal(document.getElementById(`lens-${subject.index}`));
  });
  for (const button of bar.querySelectorAll("[data-goto='graph']")) button.hidden = !document.querySelector(".frame");
}

function reveal(place) {
  if (!place) return;
  place.closest("details")?.setAttribute("open", "");
  place.hidden = false;
  place.scrollIntoView({ block: "center" });
  const stop = place.matches("[tabindex='0']") ? place : place.querySelector("a[href], [data-part='map']");
  if (stop) stop.focus({ preventScroll: true });
}

function element(tag, text, attributes = {}) {
  const out = document.createElement(tag);
  out.textContent = text;
  for (const [name, value] of Object.entries(attributes)) out.setAttribute(name, value);
  return out;
}

function dot(subject) {
  const out = element("span", "", { "aria-hidden": "true" });
  out.className = `dot m${subject.index % 8}`;
  return out;
}
