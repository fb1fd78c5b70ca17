// Runs in the head, before anything is painted.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  let kept = null;
  try { kept = localStorage.getItem("archlens-theme"); } catch { /* storage is off for files in some browsers */ }
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
})();
