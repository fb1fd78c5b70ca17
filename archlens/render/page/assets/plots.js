// The plots: a point of a layer leads to its row, and the selected layer's point is marked.

function plots(subjects) {
  const points = new Map();
  for (const point of document.querySelectorAll(".plot [data-point]")) {
    const [subject, layer] = point.dataset.point.split("-").map(Number);
    const name = subjects[subject]?.layers[layer]?.name;
    if (!name) continue;
    points.set(`${subject}-${layer}`, [...(points.get(`${subject}-${layer}`) ?? []), point]);
    point.addEventListener("click", () => {
      const found = subjects[subject].layers[layer];
      state.set({ model: subjects[subject].key, layer: found.name, unit: middle(found) }, "plot");
    });
  }
  state.onChange(({ model, layer }) => {
    for (const marks of points.values()) for (const mark of marks) mark.classList.remove("on");
    const subject = subjects.find((s) => s.key === model);
    for (const mark of points.get(`${subject.index}-${subject.byName.get(layer).index}`) ?? []) mark.classList.add("on");
  });
}
