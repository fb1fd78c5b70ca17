// What lies under the boxes: a drawn scene, the user's own picture (which never leaves the page), or nothing.

const scene = { kind: "scene", picture: null };

function paintScene(g, width, height, dark) {
  if (scene.kind === "picture" && scene.picture) {
    g.drawImage(scene.picture, 0, 0, width, height);
    return;
  }
  g.fillStyle = dark ? "#1f2630" : "#f1f3f6";
  g.fillRect(0, 0, width, height);
  if (scene.kind === "scene") {
    g.save();
    g.scale(width / 100, height / 100);
    paintRiver(g, dark);
    g.restore();
  }
}

// A boat beside its house on a river: what it is, the water tells.
function paintRiver(g, dark) {
  const shape = (colour, points) => {
    g.fillStyle = colour;
    g.beginPath();
    for (const [x, y] of points) g.lineTo(x, y);
    g.fill();
  };
  const pick = (light, night) => (dark ? night : light);
  shape(pick("#dce9f2", "#26323f"), [[0, 0], [100, 0], [100, 45], [0, 45]]);
  shape(pick("#c5d3d6", "#2d3b45"), [[0, 40], [18, 27], [33, 36], [55, 22], [78, 35], [100, 26], [100, 48], [0, 48]]);
  shape(pick("#b3c9ac", "#2c4034"), [[0, 43], [30, 40], [60, 44], [100, 40], [100, 58], [0, 58]]);
  shape(pick("#a9c8dc", "#28485d"), [[0, 56], [100, 52], [100, 86], [0, 92]]);
  shape(pick("#bfd7e6", "#315569"), [[0, 70], [60, 66], [100, 68], [100, 71], [55, 70], [0, 75]]);
  shape(pick("#c9c0a4", "#4a4536"), [[0, 92], [100, 85], [100, 100], [0, 100]]);
  shape(pick("#c9a58c", "#5e4a3d"), [[66, 40], [90, 38], [90, 60], [66, 61]]);
  shape(pick("#8f5f52", "#7a5047"), [[63, 41], [77, 28], [93, 38.5]]);
  shape(pick("#6f4f43", "#3c2f29"), [[74, 48], [82, 47.6], [82, 60.4], [74, 60.7]]);
  shape(pick("#fdfdfb", "#c7ccd2"), [[33, 66], [62, 66], [57, 74], [38, 74]]);
  shape(pick("#b5534a", "#a4524a"), [[33, 66], [62, 66], [61, 68], [34, 68]]);
  shape(pick("#f5f2ea", "#aab1ba"), [[44, 59], [55, 59], [57, 66], [42, 66]]);
  shape(pick("#5a7486", "#2b3d4a"), [[45, 60.5], [49, 60.5], [49, 64], [44.2, 64]]);
  for (const [x, y] of [[8, 44], [16, 42.5], [24, 42.6]]) {
    g.fillStyle = pick("#7b6a57", "#4a4036");
    g.fillRect(x - 0.6, y - 2, 1.2, 8);
    g.fillStyle = pick("#7fa37a", "#35553f");
    g.beginPath();
    g.ellipse(x, y - 5, 4.2, 6, 0, 0, 7);
    g.fill();
  }
}

// A ruler: a line every 64 pixels of the input (or a fitting power of two), faint.
function paintRuler(g, scale, [rows, columns], dark) {
  const step = 2 ** Math.max(0, Math.round(Math.log2(Math.max(rows, columns) / 8)));
  g.strokeStyle = dark ? "rgb(255 255 255 / .13)" : "rgb(0 0 0 / .12)";
  g.lineWidth = 1;
  g.beginPath();
  for (let x = step; x < columns; x += step) { g.moveTo(x * scale, 0); g.lineTo(x * scale, rows * scale); }
  for (let y = step; y < rows; y += step) { g.moveTo(0, y * scale); g.lineTo(columns * scale, y * scale); }
  g.stroke();
}

const isDark = () => {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
