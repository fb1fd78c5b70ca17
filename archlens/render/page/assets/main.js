// Starts the page: everything below works on what is in the document already.

function themeSwitch() {
  const button = document.getElementById("theme");
  const say = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("archlens-theme", next); } catch { /* not kept, then */ }
    say();
    dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    say();
    dispatchEvent(new Event("themechange"));
  });
  say();
}

function downloads() {
  for (const button of document.querySelectorAll("[data-download]")) {
    button.addEventListener("click", async () => {
      const text = await inflate(document.getElementById(button.dataset.download).textContent, "deflate-raw");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      link.download = button.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
}

async function start() {
  themeSwitch();
  downloads();
  const subjects = await Promise.all(meta.subjects.map(loadSubject));
  explorer(subjects);
  layerTables(subjects);
  graphs(subjects);
  plots(subjects);
  selectionBar(subjects);
  const first = subjects[0];
  const cell = first.byName.get(first.report.class_score) ?? first.layers.at(-1);
  const asked = fromHash(subjects);
  const home = { model: first.key, layer: cell.name, unit: middle(cell) };
  if (asked) state.set(asked, "address");
  else {
    state.current = home;
    for (const listener of state.listeners) listener(home, "start");
  }
  addEventListener("hashchange", () => {
    const next = fromHash(subjects);
    if (next) state.set(next, "address");
  });
  document.documentElement.dataset.ready = "yes";
}

// A browser that cannot inflate what the page carries gets the page that needs no script.
start().catch((error) => {
  document.documentElement.classList.remove("js");
  throw error;
});
