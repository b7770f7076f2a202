// Before the first paint, so that a kept choice of light or dark does not flash.
try {
  const choice = localStorage.getItem("tickcast.theme");
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
} catch {
  // No storage: the system's choice holds.
}
