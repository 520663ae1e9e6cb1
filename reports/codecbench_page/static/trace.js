// A figure traced to the utterances behind it.
function floats(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
function tracedRows(trace, view, codec) {
  if (view.values === null) return [];
  if (typeof view.values === 'string') view.values = floats(view.values);
  const count = trace.utterances.length, rows = [];
  for (let u = 0; u < count; u += 1) {
    const value = view.values[codec * count + u];
    if (!Number.isNaN(value)) rows.push([trace.utterances[u], +value.toFixed(view.decimals + 2), 'ok']);
  }
  const sign = view.direction === 'lower' ? -1 : 1;
  rows.sort((a, b) => sign * (a[1] - b[1]));
  const failed = [];
  for (const [status, where] of Object.entries(view.statuses[codec] || {})) for (const u of where) failed.push([trace.utterances[u], null, status]);
  return [...failed, ...rows];
}
function factList(view, row) {
  const failed = row.failed.map(([status, n]) => `${status}: ${n}`).join(', ') || 'none';
  const facts = [
    ['Estimate', `${fixed(row.estimate, view.decimals + 2)} ${view.unit}`.trim()],
    ['Interval', row.low === null ? row.method : `${fixed(row.low, view.decimals + 2)} to ${fixed(row.high, view.decimals + 2)} (${row.method}, ${row.units} ${row.unit}s)`],
    ['Utterances', `${row.used} in the estimate, ${row.scored} scored; without a value: ${failed}`],
    ['Rank', row.rank === null ? row.reason || 'not ranked' : `${row.rank}, group ${row.group}`],
    ['Metric', `${view.metric}${view.component ? ` of ${view.component}` : ''}, version ${view.version}, ${view.direction === 'neutral' ? 'neither way is better' : `${view.direction} is better`}`],
  ];
  return el('dl', { className: 'facts wide' }, ...facts.map(([name, text]) => el('div', {}, el('dt', { textContent: name }), el('dd', {}, bdi(text)))));
}
const PAGE = 100;
function pagedTable(heads, rows) {
  const box = el('div');
  let place = 0;
  const show = () => {
    const nodes = [dataTable(heads, rows.slice(place, place + PAGE), 'Values by utterance')];
    if (rows.length > PAGE) {
      const back = el('button', { type: 'button', textContent: 'Previous', disabled: place === 0 });
      const on = el('button', { type: 'button', textContent: 'Next', disabled: place + PAGE >= rows.length });
      back.addEventListener('click', () => { place -= PAGE; show(); });
      on.addEventListener('click', () => { place += PAGE; show(); });
      nodes.unshift(el('p', { className: 'controls' }, back, on, `${place + 1} to ${Math.min(rows.length, place + PAGE)} of ${rows.length}, worst first`));
    }
    box.replaceChildren(...nodes);
  };
  show();
  return box;
}
function showTrace(run, button) {
  const { codec, metric, component } = button.dataset, trace = run.data.trace;
  const place = trace.codecs.indexOf(codec);
  const view = trace.views.find((v) => v.metric === metric && v.component === component);
  if (!view || place < 0 || !view.rows[place]) return;
  const dialog = document.getElementById('trace'), body = document.getElementById('trace-body');
  document.getElementById('trace-title').replaceChildren(bdi(codec), ' · ', bdi(view.title));
  const rows = tracedRows(trace, view, place);
  const nodes = [factList(view, view.rows[place])];
  if (rows.length) {
    const button_ = el('button', { type: 'button', textContent: 'CSV' });
    button_.addEventListener('click', () => download('values.csv', csvText([['utterance', metric, 'status'], ...rows])));
    nodes.push(pagedTable(['utterance', view.title, 'status'], rows), el('p', {}, button_));
  }
  const filter = `codec = '${codec}', metric = '${metric}', component = '${component}'`;
  nodes.push(el('p', { className: 'note' }, 'Rows of records/*.parquet with ', el('code', {}, bdi(filter))));
  body.replaceChildren(...nodes);
  dialog.showModal();
}
function startTrace(run) {
  run.root.addEventListener('click', (event) => {
    const button = event.target.closest('button.fig');
    if (button) showTrace(run, button);
  });
}
