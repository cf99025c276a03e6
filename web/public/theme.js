// Before the first paint, so that no page flashes in the wrong colours. `theme` is "light", "dark" or absent: as the system has it.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage can be forbidden: the system decides.
    }
    document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
  };
  apply();
  system.addEventListener("change", apply);
  addEventListener("themechange", apply);
})();
