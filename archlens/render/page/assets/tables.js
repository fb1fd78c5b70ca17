// The layer tables: sorted by any column, filtered by words, cut down to the layers that change something.

const SORT_KEYS = {
  order: (layer) => layer.index,
  layer: (layer) => layer.name,
  operation: (layer, row) => row.cells[OPERATION].textContent,
  map: (layer) => layer.shape.slice(1).reduce((a, b) => a * b, 1),
  field: (layer) => fieldSize(layer.rf),
  jump: (layer) => (layer.rf?.local ?? layer.rf)?.jump?.[0] ?? -1,
  sees: (layer) => area(layer.rf?.visible),
  share: (layer) => area(layer.rf?.visible),
  params: (layer) => layer.params,
  macs: (layer) => layer.macs,
  memory: (layer) => layer.activation_bytes,
  time: (layer) => layer.measured?.seconds ?? 0,
};
const OPERATION = 1;

// Global fields are larger than any size; those that vary or are not known come last of all.
function fieldSize(rf) {
  if (!rf) return -2;
  if (rf.kind === "global") return Infinity;
  return rf.kind === "local" && rf.size ? Math.max(0, ...rf.size) : -1;
}

const area = (visible) => (visible ? visible.hi.reduce((all, hi, d) => all * (hi - visible.lo[d] + 1), 1) : -1);

function layerTables(subjects) {
  for (const subject of subjects) layerTable(subject);
  const filter = document.getElementById("filter");
  const changes = document.getElementById("changes");
  const apply = () => {
    for (const subject of subjects) filterRows(subject, filter.value, changes.checked);
  };
  filter.addEventListener("input", apply);
  changes.addEventListener("change", apply);
  apply();
}

function layerTable(subject) {
  const table = document.getElementById(`layers-${subject.index}`);
  subject.rows = subject.layers.map((layer) => document.getElementById(`r${subject.index}-${layer.index}`));
  subject.rows.forEach((row, i) => {
    const { name, map } = subject.layers[i];
    row.querySelector("a").href = hashOf({ model: subject.key, layer: name, unit: map.map((n) => Math.floor(n / 2)) });
  });
  table.tHead.addEventListener("click", ({ target }) => {
    const heading = target.closest("th");
    if (heading) sortRows(subject, table, heading);
  });
  table.tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || String(getSelection())) return;
    event.preventDefault();
    const layer = subject.layers[Number(row.id.split("-")[1])];
    state.set({ model: subject.key, layer: layer.name, unit: middle(layer) }, "row");
  });
  state.onChange(({ model, layer }) => {
    const on = model === subject.key ? subject.byName.get(layer).index : -1;
    subject.rows.forEach((row, i) => {
      row.classList.toggle("on", i === on);
      if (i === on) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
  });
}

// First click: large to small for numbers, A to Z for words; second: the other way; third: as they run.
function sortRows(subject, table, heading) {
  const first = heading.classList.contains("num") ? "descending" : "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  const now = heading.getAttribute("aria-sort");
  const next = now === null ? first : now === first ? second : null;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  if (next) heading.setAttribute("aria-sort", next);
  const key = SORT_KEYS[next ? heading.dataset.key : "order"];
  const sign = next === "descending" ? -1 : 1;
  const order = subject.layers.map((layer, i) => [key(layer, subject.rows[i]), i]);
  order.sort(([a, i], [b, j]) => (a < b ? -sign : a > b ? sign : i - j));
  table.tBodies[0].append(...order.map(([, i]) => subject.rows[i]));
}

function filterRows(subject, text, changesOnly) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  subject.rows.forEach((row, i) => {
    const layer = subject.layers[i];
    const searched = `${layer.name} ${layer.op} ${row.cells[OPERATION].textContent}`.toLowerCase();
    row.hidden = !words.every((word) => searched.includes(word)) || (changesOnly && !row.classList.contains("c"));
    shown += !row.hidden;
  });
  document.getElementById(`count-${subject.index}`).textContent =
    shown === subject.rows.length ? `${shown} layers` : `${shown} of ${subject.rows.length} layers`;
}
