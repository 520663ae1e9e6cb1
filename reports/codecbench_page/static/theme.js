// Light or dark: as the system says, or as the reader presses.
const redraws = [];
function isDark() { return document.documentElement.dataset.theme === 'dark'; }
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  const button = document.getElementById('theme');
  button.textContent = dark ? 'Light' : 'Dark';
  button.setAttribute('aria-pressed', String(dark));
  button.setAttribute('aria-label', dark ? 'Use light colours' : 'Use dark colours');
  for (const redraw of redraws) redraw();
}
function startTheme() {
  const system = matchMedia('(prefers-color-scheme: dark)');
  setTheme(system.matches);
  system.addEventListener('change', (event) => setTheme(event.matches));
  document.getElementById('theme').addEventListener('click', () => setTheme(!isDark()));
}
