// How a number is written on the page: as archlens/words.py writes it (a test holds the two together).

function number(value) {
  if (Number.isInteger(value)) return Math.abs(value) >= 10000 ? value.toLocaleString("en") : String(value);
  if (Math.abs(value) < 0.0005) return value > 0 ? "<0.001" : ">-0.001";
  return value.toLocaleString("en", { maximumFractionDigits: 3, useGrouping: Math.abs(value) >= 10000 });
}

function percent(share) {
  const value = 100 * share;
  if (Math.abs(value) < 1e-9) return "0 %";
  if (Math.abs(value) < 0.01) return value > 0 ? "<0.01 %" : ">-0.01 %";
  if (Math.abs(value) < 0.995) return `${Number(value.toPrecision(2))} %`;
  if (Math.abs(value) >= 99.95 && Math.abs(value) < 100 - 1e-7) return value > 0 ? ">99.9 %" : "<-99.9 %";
  return Math.abs(value) >= 99.95 ? `${number(Math.round(value))} %` : `${value.toFixed(1)} %`;
}

function together(texts, sign) {
  return texts.every((text) => text === texts[0]) ? texts[0] : texts.join(sign);
}

function axes(values) {
  return together(values.map(number), "x");
}

function phases(sizes) {
  const texts = sizes.map((s) => s.length <= 3 ? s.map(number).join("|") : `${number(Math.min(...s))}..${number(Math.max(...s))}`);
  return together(texts, texts.some((text) => text.includes("|")) ? " x " : "x");
}
