function startRun(root) {
  const run = { root, number: root.dataset.run, data: JSON.parse(root.querySelector('script.data').textContent), hidden: new Set(), drawn: [] };
  run.redraw = () => { for (const draw of run.drawn) draw(); };
  startTables(run);
  startRate(run);
  startFigures(run);
  startTrace(run);
  startListen(run);
  redraws.push(run.redraw);
  return run;
}
startTheme();
const runs = [...document.querySelectorAll('article.run')].map(startRun);
document.documentElement.dataset.ready = 'yes';
