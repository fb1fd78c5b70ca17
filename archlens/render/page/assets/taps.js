// Which inputs each output position reads along one dimension: {start, index} in CSR form.
// The rules are those of archlens/analyses/taps.py, in the same floating-point arithmetic.

const tapCache = new Map();

function taps(geometry, nIn, nOut) {
  const key = JSON.stringify([geometry, nIn, nOut]);
  let found = tapCache.get(key);
  if (!found) {
    found = buildTaps(geometry, nIn, nOut);
    tapCache.set(key, found);
  }
  return found;
}

function buildTaps([name, ...args], nIn, nOut) {
  const row = TAP_RULES[name](args, nIn, nOut);
  const start = new Int32Array(nOut + 1);
  const index = [];
  for (let o = 0; o < nOut; o++) {
    for (const i of row(o)) if (i >= 0 && i < nIn) index.push(i);
    start[o + 1] = index.length;
  }
  return { start, index: Int32Array.from(index) };
}

const steps = (n, f) => Array.from({ length: n }, (_, t) => f(t));
const modulo = (a, n) => ((a % n) + n) % n;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const TAP_RULES = {
  Window: ([k, s, p, d]) => (o) => steps(k, (t) => o * s - p + t * d),
  TransposedWindow: ([k, s, p, d]) => (o) =>
    steps(k, (t) => o + p - t * d).filter((r) => r % s === 0).map((r) => r / s),
  AdaptivePool: (_, nIn, nOut) => (o) => {
    const first = Math.floor((o * nIn) / nOut);
    return steps(Math.ceil(((o + 1) * nIn) / nOut) - first, (t) => first + t);
  },
  Resize: resizeTaps,
  Pad: ([before, mode], nIn) => (o) => [padded(o - before, mode, nIn)],
  Slice: ([start, step]) => (o) => [start + o * step],
  Roll: ([shift], nIn) => (o) => [modulo(o - shift, nIn)],
  IndexMap: ([index]) => (o) => [index[o]],
  Grouped: ([groups], nIn, nOut) => (o) => {
    const block = nIn / groups;
    return steps(block, (t) => Math.floor(o / (nOut / groups)) * block + t);
  },
  Full: (_, nIn) => () => steps(nIn, (t) => t),
};

function padded(i, mode, n) {
  if (mode === "reflect") {
    const period = Math.max(2 * (n - 1), 1);
    const folded = modulo(i, period);
    return folded < n ? folded : period - folded;
  }
  if (mode === "replicate") return clamp(i, 0, n - 1);
  return mode === "circular" ? modulo(i, n) : i;
}

// Positions that exact arithmetic puts on a sample are on it; nearest neighbours are picked in float32.
function resizeTaps([mode, corners, scale], nIn, nOut) {
  if (mode.startsWith("nearest")) {
    const step = scale ? Math.fround(1 / scale) : Math.fround(nIn / nOut);
    const half = mode === "nearest" ? 0 : 0.5;
    return (o) => [Math.min(Math.floor(Math.fround(Math.fround(o + half) * step)), nIn - 1)];
  }
  const same = mode === "linear" && nIn === nOut;
  const ratio = corners ? (nOut > 1 ? (nIn - 1) / (nOut - 1) : 0) : scale && !same ? 1 / scale : nIn / nOut;
  const source = (o) => {
    const x = corners ? o * ratio : ratio * (o + 0.5) - 0.5;
    return Math.abs(x - Math.round(x)) < 1e-9 ? Math.round(x) : x;
  };
  if (mode === "linear") {
    return (o) => {
      const x = Math.max(source(o), 0);
      const low = Math.min(Math.floor(x), nIn - 1);
      const high = Math.min(low + 1, nIn - 1);
      const part = clamp(x - low, 0, 1);
      if (low === high || part === 0) return [low];
      return part === 1 ? [high] : [low, high];
    };
  }
  return (o) => {
    const low = Math.floor(source(o));
    return cubic(source(o) - low).flatMap((w, t) => (w === 0 ? [] : [clamp(low + t - 1, 0, nIn - 1)]));
  };
}

function cubic(t) {
  const a = -0.75;
  const near = (x) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}
