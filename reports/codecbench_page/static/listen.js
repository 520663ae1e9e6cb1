// One player: switching systems keeps the position; loudness is matched by turning the louder ones down.
function editNodes(edits) {
  const nodes = [];
  for (const [type, meant, heard] of edits) {
    if (type === 'equal') nodes.push(heard);
    if (type === 'delete' || type === 'substitute') nodes.push(el('del', { title: 'missing' }, meant));
    if (type === 'substitute') nodes.push(' ');
    if (type === 'insert' || type === 'substitute') nodes.push(el('ins', { title: 'heard instead' }, heard));
    nodes.push(' ');
  }
  return nodes.length ? nodes : [el('span', { className: 'none', textContent: 'nothing' })];
}
function tokenMap(stream, seconds) {
  const books = stream.codes.length, frames = stream.codes[0].length, tall = books > 12 ? 4 : 9;
  const canvas = el('canvas', { width: frames, height: books * tall, role: 'img' });
  canvas.setAttribute('aria-label', `Token map of ${stream.name}: ${books} codebooks, ${stream.frames} frames at ${stream.rate} Hz`);
  const context = canvas.getContext('2d');
  for (let k = 0; k < books; k += 1) {
    for (let f = 0; f < frames; f += 1) {
      const code = stream.codes[k][f];
      context.fillStyle = code < 0 ? '#888' : `hsl(${(code * 137.508) % 360} ${55 + ((code * 7) % 4) * 10}% ${32 + ((code * 13) % 5) * 10}%)`;
      context.fillRect(f, k * tall, 1, tall - (books > 1 ? 1 : 0));
    }
  }
  canvas.style.height = `${books * tall}px`;
  // Under the spectrogram, frame by frame: a long utterance's tokens are cut, and codecs pad its end.
  if (stream.rate && seconds) canvas.style.width = `${(100 * frames) / (stream.rate * seconds)}%`;
  canvas.addEventListener('mousemove', (event) => {
    const box = canvas.getBoundingClientRect();
    const f = Math.min(frames - 1, Math.floor((frames * (event.clientX - box.left)) / box.width));
    const k = Math.max(0, Math.min(books - 1, Math.floor((books * (event.clientY - box.top)) / box.height)));
    canvas.title = `${stream.name}, codebook ${k + 1} of ${books}, frame ${f}: code ${stream.codes[k][f]} of ${stream.sizes[k]}`;
  });
  return canvas;
}
function tokenList(streams) {
  const parts = streams.map((s) => `${s.name} ${s.codes.length} × ${s.rate ? `${figure(s.rate)} a second` : s.frames}`);
  const details = el('details', {}, el('summary', {}, 'Tokens, from top to bottom: ', bdi(parts.join(', '))));
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    for (const stream of streams) {
      const rows = stream.codes.map((codes, k) => [`${stream.name} ${k + 1}`, codes.join(' ')]);
      details.append(dataTable(['codebook', `codes, ${stream.rate} a second`], rows, stream.name));
    }
  });
  return details;
}
function systemRow(item, index, place, run) {
  const system = item.systems[index];
  const radio = el('input', { type: 'radio', name: `system-${run.number}`, value: String(index), disabled: !system.audio });
  const side = el('div', {}, el('label', {}, radio, bdi(system.name)));
  const row = el('div', { className: 'system' }, side);
  row.dataset.system = system.name;
  const pictures = el('div', { className: 'pictures' });
  if (system.picture) {
    pictures.append(el('img', { src: system.picture, alt: `Spectrogram of ${system.name}, 0 to 8 kHz, ${figure(system.s, 3)} s` }));
    for (const stream of system.tokens) pictures.append(tokenMap(stream, system.s));
    pictures.append(el('div', { className: 'cursor', hidden: true }));
    pictures.addEventListener('click', (event) => {
      const box = pictures.getBoundingClientRect();
      place.seek((event.clientX - box.left) / box.width, index);
    });
  } else pictures.append(el('span', { className: 'note', textContent: 'no audio in this page' }));
  row.append(pictures);
  const scores = item.scores.filter((s) => s.values[index] !== null).map((s) => `${s.title} ${fixed(s.values[index], s.decimals)}`);
  side.append(el('div', { className: 'scores' }, bdi(scores.join(' · '))));
  const said = el('div', { className: 'said' });
  for (const each of system.said) said.append(el('p', { className: 'note' }, el('small', {}, bdi(`${each.by}: `)), el('bdi', {}, ...editNodes(each.edits))));
  if (system.tokens && system.tokens.length) said.append(tokenList(system.tokens));
  row.append(said);
  return row;
}
class Player {
  constructor(run) {
    this.run = run;
    this.root = run.root.querySelector('.player');
    this.audio = this.root.querySelector('audio');
    this.match = this.root.querySelector('.match');
    this.select = run.root.querySelector('select.utterance');
    this.urls = new Map();
    this.system = 0;
    this.match.addEventListener('change', () => this.level());
    this.audio.addEventListener('timeupdate', () => this.cursor());
    this.select.addEventListener('change', () => this.show(Number(this.select.value)));
    run.root.querySelector('.previous').addEventListener('click', () => this.step(-1));
    run.root.querySelector('.next').addEventListener('click', () => this.step(1));
    this.root.querySelector('.systems').addEventListener('change', (event) => { if (event.target.type === 'radio') this.use(Number(event.target.value)); });
  }
  step(by) {
    const places = this.select.options.length;
    this.select.selectedIndex = (this.select.selectedIndex + by + places) % places;
    this.show(Number(this.select.value));
  }
  show(number) {
    this.audio.pause();
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
    this.urls.clear();
    this.item = this.run.data.listen.items[number];
    const shown = this.item.systems.findIndex((s) => s.audio);
    this.root.querySelector('.text').textContent = this.item.text || '(none in the corpus)';
    this.root.querySelector('.playbar').hidden = shown < 0;
    const systems = this.root.querySelector('.systems');
    systems.replaceChildren(systems.querySelector('legend'), ...this.item.systems.map((_, i) => systemRow(this.item, i, this, this.run)));
    this.rows = [...systems.querySelectorAll('.system')];
    this.position = 0;
    if (shown >= 0) this.use(this.item.systems[this.system]?.audio ? this.system : shown, false);
  }
  url(index) {
    if (!this.urls.has(index)) {
      const [head, body] = this.item.systems[index].audio.split(',');
      const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
      this.urls.set(index, URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(';')[0] })));
    }
    return this.urls.get(index);
  }
  use(index, keep = true) {
    const playing = keep && !this.audio.paused && !this.audio.ended, time = keep ? this.audio.currentTime : 0;
    this.system = index;
    this.audio.src = this.url(index);
    this.audio.setAttribute('aria-label', this.item.systems[index].name);
    this.audio.addEventListener('loadedmetadata', () => {
      this.audio.currentTime = Math.min(time, this.audio.duration || time);
      if (playing) this.audio.play();
    }, { once: true });
    this.rows.forEach((row, i) => { row.classList.toggle('on', i === index); row.querySelector('input').checked = i === index; });
    this.level();
  }
  level() {
    const known = this.item.systems.map((s) => s.lufs).filter((v) => typeof v === 'number');
    const own = this.item.systems[this.system].lufs;
    const drop = this.match.checked && typeof own === 'number' ? Math.min(...known) - own : 0;
    this.audio.volume = 10 ** (drop / 20);
  }
  seek(share, index) {
    if (!this.audio.duration) return;
    this.audio.currentTime = share * this.audio.duration;
    if (index !== this.system && this.item.systems[index].audio) this.use(index);
    this.cursor();
  }
  cursor() {
    for (const row of this.rows || []) {
      const mark = row.querySelector('.cursor');
      if (mark) { mark.hidden = false; mark.style.left = `${(100 * this.audio.currentTime) / (this.audio.duration || 1)}%`; }
    }
  }
}
function startListen(run) {
  const select = run.root.querySelector('select.utterance');
  if (!select) return;
  for (const [title, numbers] of run.data.listen.groups) {
    const group = el('optgroup', { label: title });
    for (const number of numbers) {
      const item = run.data.listen.items[number];
      group.append(el('option', { value: String(number), textContent: (item.id.length > 60 ? `${item.id.slice(0, 59)}…` : item.id) + (item.systems.some((s) => s.audio) ? '' : ' (no audio)') }));
    }
    if (numbers.length) select.append(group);
  }
  if (!select.options.length) return;
  run.player = new Player(run);
  run.player.show(Number(select.value));
}
