// Support: exactly which pixels a unit reads. A backward walk over the graph in the (or, and) semiring.
//
// A state says which elements of a tensor are read: {dims, data}, one byte an element. A dimension of size 1
// in a larger tensor means "the same for all of it", so channels cost nothing until an edge tells them apart.

const product = (values) => values.reduce((a, b) => a * b, 1);

// A byte map over the origin's axes, or null where an operation on the way is not understood.
function support(graph, origin, target, unit) {
  const reaches = reachable(graph, origin);
  if (!reaches[target]) return new Uint8Array(product(originSize(graph, origin)));
  const states = new Map([[target, seed(graph.nodes[target], unit)]]);
  for (let id = target; id > origin; id--) {
    const state = states.get(id);
    if (!state) continue;
    states.delete(id);
    const node = graph.nodes[id];
    if (node.unknown) return null;
    for (const [source, edge] of node.edges) {
      if (!reaches[source]) continue;
      const part = backward(state, graph.nodes[source].shape, edge);
      if (part) states.set(source, states.has(source) ? union(states.get(source), part) : part);
    }
  }
  const size = originSize(graph, origin);
  return states.has(origin) ? overPositions(states.get(origin), graph.nodes[origin]) : new Uint8Array(product(size));
}

function originSize(graph, origin) {
  const node = graph.nodes[origin];
  return node.positions.map((d) => node.shape[d]);
}

function reachable(graph, origin) {
  graph.reaches ??= new Map();
  if (!graph.reaches.has(origin)) {
    const out = [];
    graph.nodes.forEach((node, id) => { out[id] = id === origin || node.edges.some(([s]) => out[s]); });
    graph.reaches.set(origin, out);
  }
  return graph.reaches.get(origin);
}

function seed(node, unit) {
  const dims = node.shape.map((n, d) => (node.positions.includes(d) ? n : 1));
  const data = new Uint8Array(product(dims));
  let index = 0;
  dims.forEach((n, d) => {
    const k = node.positions.indexOf(d);
    index = index * n + (k < 0 ? 0 : unit[k]);
  });
  data[index] = 1;
  return { dims, data };
}

function backward(state, shape, edge) {
  const before = [];
  for (const step of edge) {
    before.push(shape);
    if (step[0] === "reshape") shape = step[1];
    else if (step[0] === "permute") { const from = shape; shape = step[1].map((d) => from[d]); }
    else if (step[0] !== "keep") shape = shape.map((n, d) => (d === step[0] ? step[1] : n));
  }
  for (let i = edge.length - 1; i >= 0 && state; i--) {
    const step = edge[i];
    if (step[0] === "reshape") state = reshaped(state, step[1], before[i]);
    else if (step[0] === "permute") state = permuted(state, step[1].map((_, d) => step[1].indexOf(d)));
    else if (step[0] === "keep") state = masked(state, { dims: step[1], data: step[3] });
    else state = along(state, step[0], step.slice(2), before[i][step[0]], step[1]);
  }
  return state;
}

// ------------------------------------------------------------------ one dimension

function along(state, dim, geometry, nIn, nOut) {
  if (geometry[0] === "Full") return collapsed(state, dim);
  const table = taps(geometry, nIn, nOut);
  if (state.dims[dim] !== 1 || nOut === 1) return scattered(state, dim, table, nIn);
  const read = new Uint8Array(nIn);
  for (const i of table.index) read[i] = 1;
  if (read.every((bit) => bit)) return state;
  return scattered(state, dim, { start: [0, table.index.length], index: table.index }, nIn);
}

function scattered({ dims, data }, dim, { start, index }, nIn) {
  const outer = product(dims.slice(0, dim)), n = dims[dim], inner = product(dims.slice(dim + 1));
  const out = new Uint8Array(outer * nIn * inner);
  let any = false;
  for (let a = 0; a < outer; a++) {
    for (let o = 0; o < n; o++) {
      const base = (a * n + o) * inner;
      let first = 0, last = inner - 1;
      while (first < inner && !data[base + first]) first++;
      if (first === inner) continue;
      while (!data[base + last]) last--;
      for (let t = start[o]; t < start[o + 1]; t++) {
        const to = (a * nIn + index[t]) * inner;
        any = true;
        for (let k = first; k <= last; k++) out[to + k] |= data[base + k];
      }
    }
  }
  return any ? { dims: dims.map((size, d) => (d === dim ? nIn : size)), data: out } : null;
}

function collapsed(state, dim) {
  const { dims, data } = state;
  if (dims[dim] === 1) return state;
  const outer = product(dims.slice(0, dim)), n = dims[dim], inner = product(dims.slice(dim + 1));
  const out = new Uint8Array(outer * inner);
  for (let a = 0; a < outer; a++)
    for (let o = 0; o < n; o++)
      for (let k = 0; k < inner; k++) out[a * inner + k] |= data[(a * n + o) * inner + k];
  return { dims: dims.map((size, d) => (d === dim ? 1 : size)), data: out };
}

// ------------------------------------------------------------------ all dimensions

// The element of `state` at each index of the larger `dims`.
function expanded({ dims: own, data }, dims) {
  if (own.every((n, d) => n === dims[d])) return data;
  const strides = stridesOf(own);
  const out = new Uint8Array(product(dims));
  const at = dims.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from];
    for (let d = dims.length - 1; d >= 0; d--) {
      from += strides[d];
      if (++at[d] < dims[d]) break;
      at[d] = 0;
      from -= strides[d] * dims[d];
    }
  }
  return out;
}

function stridesOf(dims) {
  const out = [];
  let stride = 1;
  for (let d = dims.length - 1; d >= 0; d--) { out[d] = dims[d] === 1 ? 0 : stride; stride *= dims[d]; }
  return out;
}

const larger = (a, b) => a.dims.map((n, d) => Math.max(n, b.dims[d]));

function union(a, b) {
  const dims = larger(a, b);
  const data = expanded(a, dims).slice(), other = expanded(b, dims);
  for (let i = 0; i < data.length; i++) data[i] |= other[i];
  return { dims, data };
}

function masked(state, mask) {
  const pad = { dims: [...state.dims.slice(mask.dims.length).map(() => 1), ...mask.dims], data: mask.data };
  const dims = larger(state, pad);
  const data = expanded(state, dims).slice(), keep = expanded(pad, dims);
  for (let i = 0; i < data.length; i++) data[i] &= keep[i];
  return { dims, data };
}

function permuted({ dims, data }, order) {
  const target = order.map((d) => dims[d]);
  const strides = stridesOf(dims);
  const moved = order.map((d) => strides[d]);
  const out = new Uint8Array(data.length);
  const at = target.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from];
    for (let d = target.length - 1; d >= 0; d--) {
      from += moved[d];
      if (++at[d] < target[d]) break;
      at[d] = 0;
      from -= moved[d] * target[d];
    }
  }
  return { dims: target, data: out };
}

// The same elements in row-major order: dimensions are matched in groups of equal product, and only groups
// that the state depends on are spelt out.
function reshaped(state, shape, target) {
  const full = [], dims = [];
  let i = 0, j = 0;
  while (i < shape.length || j < target.length) {
    let i2 = Math.min(i + 1, shape.length), j2 = Math.min(j + 1, target.length);
    let p = product(shape.slice(i, i2)), q = product(target.slice(j, j2));
    while (p !== q || shape[i2] === 1 || target[j2] === 1) {
      if (p < q || (p === q && shape[i2] === 1)) p *= shape[i2++];
      else q *= target[j2++];
    }
    const flat = state.dims.slice(i, i2).every((n) => n === 1);
    full.push(...shape.slice(i, i2).map((n) => (flat ? 1 : n)));
    dims.push(...target.slice(j, j2).map((n) => (flat ? 1 : n)));
    i = i2;
    j = j2;
  }
  return { dims, data: expanded(state, full) };
}

function overPositions(state, node) {
  for (let d = 0; d < node.shape.length; d++) if (!node.positions.includes(d)) state = collapsed(state, d);
  return expanded(state, node.shape.map((n, d) => (node.positions.includes(d) ? n : 1)));
}
