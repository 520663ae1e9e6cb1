// Sorting (missing values always last), columns and codecs to hide, CSV.
function sortValue(row, index) {
  const cell = row.cells[index];
  const text = cell.dataset.value !== undefined ? cell.dataset.value : cell.textContent.trim();
  if (text === '') return null;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
function compare(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
function sortBy(table, head) {
  const heads = [...table.tHead.rows[0].cells];
  const first = head.dataset.first || (head.classList.contains('name') ? 'ascending' : 'descending');
  const other = first === 'ascending' ? 'descending' : 'ascending';
  const order = head.getAttribute('aria-sort') === first ? other : first;
  for (const each of heads) each.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', order);
  const sign = order === 'ascending' ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [sortValue(row, head.cellIndex), row]);
  rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
function makeSortable(table) {
  table.tHead.addEventListener('click', (event) => {
    const button = event.target.closest('button.sort');
    if (button) sortBy(table, button.closest('th'));
  });
}
function tableCsv(table) {
  const shown = [...table.tHead.rows[0].cells].map((cell, index) => [cell, index]).filter(([cell]) => !cell.hidden);
  const rows = [shown.map(([cell]) => [...cell.querySelectorAll('button.sort, small:not(.better)')].map((n) => n.textContent).filter(Boolean).join(', '))];
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue;
    rows.push(shown.map(([, index]) => {
      const cell = row.cells[index];
      return cell.dataset.value !== undefined ? (cell.dataset.value === '' ? '' : Number(cell.dataset.value)) : row.dataset.codec || cell.textContent.trim();
    }));
  }
  return csvText(rows);
}
function startTables(run) {
  for (const table of run.root.querySelectorAll('table.sortable')) makeSortable(table);
  for (const box of run.root.querySelectorAll('input.column')) {
    box.addEventListener('change', () => {
      for (const cell of run.root.querySelectorAll(`table.summary [data-col="${CSS.escape(box.dataset.col)}"]`)) cell.hidden = !box.checked;
    });
  }
  for (const box of run.root.querySelectorAll('input.codec')) {
    box.addEventListener('change', () => {
      if (box.checked) run.hidden.delete(box.value); else run.hidden.add(box.value);
      for (const row of run.root.querySelectorAll('tr[data-codec]')) row.hidden = run.hidden.has(row.dataset.codec);
      run.redraw();
    });
  }
  for (const button of run.root.querySelectorAll('button.csv')) {
    button.addEventListener('click', () => download('summary.csv', tableCsv(document.getElementById(button.dataset.table))));
  }
  for (const menu of run.root.querySelectorAll('details.menu')) {
    menu.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') { menu.open = false; menu.querySelector('summary').focus(); }
    });
    document.addEventListener('click', (event) => { if (!menu.contains(event.target)) menu.open = false; });
  }
}
