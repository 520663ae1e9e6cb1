// Charts are Plotly's; here colours are filled in, hidden codecs are left out, and the data is put beside each.
function colours(run) {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const named = { '@ink': read('--ink'), '@ceiling': read('--ink'), '@floor': read('--soft'), '@front': isDark() ? '#5c6675' : '#b9bfc8' };
  const palette = run.data.palette[isDark() ? 'dark' : 'light'];
  return { paper: read('--paper'), ink: read('--ink'), soft: read('--soft'), line: read('--line'),
    of: (slot) => (typeof slot !== 'string' || slot[0] !== '@' ? slot : named[slot] || palette[Number(slot.slice(1))]) };
}
function filled(value, find, key) {
  if (Array.isArray(value)) return value.map((part) => filled(part, find, key));
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, filled(part, find, name)]));
  return /color$/i.test(key || '') ? find(value) : value;
}
function kept(trace, hidden) {
  if (!trace.meta || !hidden.size) return trace;
  const keep = trace.meta.map((label) => !hidden.has(label));
  if (trace.meta.length === 1 && trace.x.length > 1) return keep[0] ? trace : null;
  if (!keep.some(Boolean)) return null;
  const cut = (list) => (Array.isArray(list) && list.length === keep.length ? list.filter((_, i) => keep[i]) : list);
  const made = { ...trace, x: cut(trace.x), y: cut(trace.y), text: cut(trace.text), meta: cut(trace.meta) };
  if (trace.error_y) made.error_y = { ...trace.error_y, array: cut(trace.error_y.array), arrayminus: cut(trace.error_y.arrayminus) };
  if (trace.type === 'bar') made.marker = { ...trace.marker, color: cut(trace.marker.color) };
  return made;
}
function layoutOf(chart, look, width) {
  const narrow = width < 560;
  const side = { gridcolor: look.line, linecolor: look.line, zerolinecolor: look.line };
  const legendRows = Math.ceil(chart.traces.length / (narrow ? 2 : 5));
  const layout = { paper_bgcolor: look.paper, plot_bgcolor: look.paper, font: { color: look.ink, size: narrow ? 11 : 13, family: 'system-ui, sans-serif' },
    margin: { l: 10, r: 14, t: 12, b: 10 }, hovermode: 'closest', dragmode: narrow ? false : 'zoom', hoverlabel: { bgcolor: look.paper, bordercolor: look.line, font: { color: look.ink } },
    showlegend: chart.traces.some((trace) => trace.name), legend: { orientation: 'h', y: -0.2, yanchor: 'top', x: 0, font: { size: narrow ? 10.5 : 12 } },
    ...chart.layout, height: chart.height + (chart.traces.some((trace) => trace.name) ? 20 * legendRows : 0) };
  layout.xaxis = { ...side, automargin: true, ...chart.layout.xaxis };
  layout.yaxis = { ...side, automargin: true, ...chart.layout.yaxis };
  return layout;
}
function drawChart(run, holder, chart) {
  let plot = holder.querySelector('.plot');
  if (holder.chart !== chart) {
    holder.chart = chart;
    if (plot) Plotly.purge(plot);
    plot = el('div', { className: 'plot', role: 'img' });
    plot.setAttribute('aria-label', `${chart.title}. ${chart.alt} The data is in the table below.`);
    holder.replaceChildren(plot, el('figcaption', {}, bdi(chart.note || chart.title)), chartData(chart));
  }
  const look = colours(run);
  const traces = chart.traces.map((trace) => kept(trace, run.hidden)).filter(Boolean);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'], displayModeBar: holder.clientWidth >= 560 };
  return Plotly.react(plot, filled(traces, look.of, ''), filled(layoutOf(chart, look, holder.clientWidth), look.of, ''), config);
}
function chartData(chart) {
  const details = el('details', {}, el('summary', { textContent: 'Data' }));
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    const button = el('button', { type: 'button', textContent: 'CSV' });
    button.addEventListener('click', () => download('chart.csv', csvText([chart.heads, ...chart.rows])));
    details.append(button, dataTable(chart.heads, chart.rows, chart.title));
  });
  return details;
}
function options(select, names) {
  select.replaceChildren(...names.map((name, index) => el('option', { value: String(index), textContent: name })));
}
function deltaTable(pair) {
  if (!pair.deltas.length) return el('p', { className: 'note', textContent: 'Fewer than two curves of four rates or more.' });
  const interval = ([value, low, high, reason], unit) => (value === null ? `– (${reason})` : `${figure(value, 3)}${unit} ` + (low === null ? `(${reason})` : `[${figure(low, 3)}, ${figure(high, 3)}]`));
  const rows = pair.deltas.map((d) => [d[0], d[1], interval(d.slice(2, 6), ' %'), interval(d.slice(6, 10), pair.unit ? ` ${pair.unit}` : '')]);
  return dataTable(['codec', 'anchor', 'BD-rate', `BD-metric: ${pair.quality}`], rows, 'Bjøntegaard deltas');
}
function startRate(run) {
  const part = run.root.querySelector('.rate-controls');
  if (!part) return;
  const quality = part.querySelector('.rate-quality'), rate = part.querySelector('.rate-rate');
  const holder = run.root.querySelector('figure[data-kind="rate"]'), deltas = run.root.querySelector('.deltas');
  const unique = (list) => [...new Set(list)];
  const qualities = unique(run.data.rate.map((pair) => pair.quality));
  options(quality, qualities);
  const ratesOf = () => run.data.rate.filter((pair) => pair.quality === qualities[quality.value]);
  const draw = () => drawChart(run, holder, ratesOf()[rate.value].chart);
  const choose = () => { deltas.replaceChildren(deltaTable(ratesOf()[rate.value])); draw(); };
  quality.addEventListener('change', () => { const old = rate.value; options(rate, ratesOf().map((p) => p.rate)); rate.value = ratesOf()[old] ? old : '0'; choose(); });
  rate.addEventListener('change', choose);
  options(rate, ratesOf().map((pair) => pair.rate));
  choose();
  run.drawn.push(draw);
  const words = run.data.rate.find((pair) => pair.words);
  if (words) {
    run.root.querySelector('.words-part').hidden = false;
    const again = () => drawChart(run, run.root.querySelector('figure[data-kind="words"]'), words.chart);
    again();
    run.drawn.push(again);
  }
}
function startFigures(run) {
  for (const holder of run.root.querySelectorAll('figure[data-kind="tokens"]')) {
    const draw = () => drawChart(run, holder, run.data.tokens[holder.dataset.index]);
    draw();
    run.drawn.push(draw);
  }
  const which = run.root.querySelector('.speed-which');
  if (!which) return;
  options(which, run.data.speed.map((chart) => chart.title));
  const draw = () => drawChart(run, run.root.querySelector('figure[data-kind="speed"]'), run.data.speed[which.value]);
  which.addEventListener('change', draw);
  draw();
  run.drawn.push(draw);
}
