// Small helpers; every text from the run goes through textContent, never through markup.
function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name in node && name !== 'list') node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const bdi = (text) => el('bdi', { textContent: text });
const figure = (value, digits = 4) => (value === null || value === undefined ? '–' : typeof value === 'number' ? String(+value.toPrecision(digits)) : value);
const fixed = (value, decimals) => (value === null || Number.isNaN(value) ? '–' : value.toFixed(decimals));
function download(name, text) {
  const link = el('a', { href: URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
function csvField(value) {
  let text = value === null || value === undefined ? '' : String(value);
  if (typeof value !== 'number' && /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = "'" + text;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}
const csvText = (rows) => rows.map((row) => row.map(csvField).join(',')).join('\r\n') + '\r\n';
function dataTable(heads, rows, label) {
  const head = el('thead', {}, el('tr', {}, ...heads.map((name, i) => el('th', { scope: 'col', className: rows.length && typeof rows[0][i] === 'string' ? 'left' : '' }, el('button', { type: 'button', className: 'sort' }, bdi(name))))));
  const body = el('tbody');
  for (const row of rows) {
    body.append(el('tr', {}, ...row.map((value) => {
      const cell = el('td', { className: typeof value === 'string' ? 'left' : '' }, bdi(figure(value, 6)));
      cell.dataset.value = value === null ? '' : value;
      return cell;
    })));
  }
  const table = el('table', { className: 'sortable' }, head, body);
  makeSortable(table);
  const scroll = el('div', { className: 'scroll', tabIndex: 0, role: 'region' }, table);
  scroll.setAttribute('aria-label', label);
  return scroll;
}
