'use strict';
// The page around the swimlanes: the record that is chosen, the table, the keys and the pointer.

{
  const data = JSON.parse(document.getElementById('data').textContent);
  const { records } = data;
  const get = (id) => document.getElementById(id);
  const PAGE = 200;

  function make(tag, text, kind) {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    if (kind) node.className = kind;
    return node;
  }

  // The time of the clock, so many ns after the first record.
  function clock(t, fine, day) {
    const text = new Date(data.start_ms + Math.floor((t + data.start_ns) / 1e6)).toISOString();
    return (day ? text.slice(5, 10) + ' ' : '') + text.slice(11, fine ? 23 : 19);
  }

  const scale = new Scale(records);
  const chart = new Chart(get('chart'), data, scale, clock);
  let asked = false;
  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; chart.draw(); });
  }

  // The record that is chosen

  function list(into, title, pairs) {
    if (!pairs.length) return;
    into.append(make('h3', title));
    const body = make('dl');
    for (const [name, value] of pairs) body.append(make('dt', name), make('dd', value));
    into.append(body);
  }

  function items(into, title, texts) {
    if (!texts.length) return;
    into.append(make('h3', title));
    const body = make('ul');
    for (const text of texts) body.append(make('li', text));
    into.append(body);
  }

  const chip = (state) => make('span', printed(state), 'chip ' + (state === null ? 'unclaimed' : known(state)));

  function walk(i) {
    const bar = make('div', null, 'walk');
    const button = (text, label, act, off) => {
      const node = make('button', text);
      node.type = 'button';
      node.setAttribute('aria-label', label);
      node.disabled = Boolean(off);
      node.addEventListener('click', act);
      return node;
    };
    const shut = button('×', 'Close', () => { get('detail').classList.remove('open'); document.body.classList.remove('reading'); get('chart').focus(); });
    shut.id = 'shut';
    bar.append(make('span', `record ${i + 1} of ${records.length}`),
      button('←', 'Previous record', () => choose(i - 1), i === 0),
      button('→', 'Next record', () => choose(i + 1), i === records.length - 1), shut);
    return bar;
  }

  function tell(i) {
    const record = records[i], parts = document.createDocumentFragment();
    parts.append(walk(i), make('h2', record.said));
    const since = i ? `, ${duration(record.t - records[i - 1].t)} after the one before` : '';
    parts.append(make('p', record.time + since, 'when'));
    const why = make('div', null, 'why');
    why.append(make('p', data.sentences[record.rule]), make('code', record.rule));
    parts.append(why);
    parts.append(make('h3', 'State'));
    const state = make('p');
    state.append(chip(record.before));
    if (record.state !== record.before) state.append(' → ', chip(record.state));
    else state.append(' stays');
    parts.append(state);
    items(parts, 'Asked for', record.effects);
    items(parts, 'Replies', record.settled.map(([reply, outcome, reason]) => `${reply}: ${outcome}${reason ? ` (${reason})` : ''}`));
    list(parts, 'Changes', record.changes);
    const from = [['source', record.source], ['controller', record.controller], ['position', String(record.p)], ['version', String(record.v)]];
    list(parts, 'Observed', [['stimulus', record.stimulus], ...record.told, ...from.filter(([, value]) => value !== null)]);
    const exact = make('details');
    exact.append(make('summary', 'The record as it was hashed'), make('pre', record.body), make('p', 'chain ' + record.chain, 'mono'));
    parts.append(exact);
    get('detail').replaceChildren(parts);
  }

  function choose(i, open = true) {
    if (i < 0 || i >= records.length) return;
    chart.chosen = i;
    scale.show(i);
    tell(i);
    get('detail').scrollTop = 0;
    if (open) { get('detail').classList.add('open'); document.body.classList.add('reading'); }
    const record = records[i];
    get('said').textContent = `Record ${record.p}, ${record.said}. ${data.sentences[record.rule]}`;
    history.replaceState(null, '', open ? '#' + record.p : location.pathname + location.search);
    const page = Math.floor(shown.indexOf(i) / PAGE);
    if (page >= 0 && page !== at) { at = page; rows(); } else mark();
    draw();
  }

  // The table

  const count = (number) => (number === 1 ? '1 record' : `${number.toLocaleString('en')} records`);
  let shown = records.map((_, i) => i);
  let at = 0;

  function rows() {
    const body = document.createDocumentFragment();
    for (const i of shown.slice(at * PAGE, (at + 1) * PAGE)) {
      const record = records[i], row = make('tr', null, record.idle ? 'idle' : '');
      const number = make('td'), open = make('button', String(record.p));
      open.type = 'button';
      open.setAttribute('aria-label', `Record ${record.p}`);
      number.append(open);
      const state = make('td');
      if (record.state !== record.before) state.append(chip(record.state));
      row.append(number, make('td', clock(record.t, true, chart.days), 'time'), make('td', record.controller), make('td', record.said), make('td', record.rule, 'mono'), state, make('td', record.then));
      row.dataset.i = i;
      body.append(row);
    }
    get('rows').replaceChildren(body);
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    get('count').textContent = (shown.length === records.length ? count(records.length) : `${shown.length} of ${count(records.length)}`) + (pages > 1 ? `, page ${at + 1} of ${pages}` : '');
    get('earlier').disabled = at === 0;
    get('later').disabled = at >= pages - 1;
    get('earlier').parentNode.hidden = pages === 1;
    mark();
  }

  function mark() {
    for (const row of get('rows').children) row.setAttribute('aria-current', String(Number(row.dataset.i) === chart.chosen));
  }

  function filter() {
    const words = get('find').value.toLowerCase().split(/\s+/).filter(Boolean), moving = get('moving').checked;
    shown = [];
    records.forEach((record, i) => {
      if (moving && record.idle) return;
      const text = [record.said, record.rule, record.controller, record.then, record.state, record.source, record.p].join(' ').toLowerCase();
      if (words.every((word) => text.includes(word))) shown.push(i);
    });
    at = 0;
    rows();
  }

  get('rows').addEventListener('click', (event) => { const row = event.target.closest('tr'); if (row) choose(Number(row.dataset.i)); });
  get('find').addEventListener('input', filter);
  get('moving').addEventListener('change', filter);
  get('earlier').addEventListener('click', () => { at -= 1; rows(); });
  get('later').addEventListener('click', () => { at += 1; rows(); });

  // Keys, buttons and the pointer

  const middle = () => (chart.chosen === null ? (scale.from + scale.to) / 2 : Math.min(Math.max(scale.place(chart.chosen), scale.from), scale.to));
  const zoom = (factor, around) => { scale.zoom(factor, around); draw(); };
  const closer = (factor) => { const wide = (scale.to - scale.from) / factor; scale.view(middle() - wide / 2, middle() + wide / 2); draw(); };
  const pan = (part) => { const by = (scale.to - scale.from) * part; scale.view(scale.from + by, scale.to + by); draw(); };
  const fit = () => { scale.fit(); draw(); };
  const step = (by) => choose(chart.chosen === null ? 0 : Math.min(Math.max(chart.chosen + by, 0), records.length - 1));
  const keys = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => choose(0), End: () => choose(records.length - 1),
    '+': () => closer(1.6), '=': () => closer(1.6), '-': () => closer(1 / 1.6), 0: fit, Enter: () => { if (chart.chosen === null) step(0); get('detail').focus(); },
  };
  get('chart').addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const sideways = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    const act = event.shiftKey && sideways ? () => pan(sideways) : keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  get('detail').addEventListener('keydown', (event) => { if (event.key === 'Escape') get('chart').focus(); });
  get('in').addEventListener('click', () => closer(1.6));
  get('out').addEventListener('click', () => closer(1 / 1.6));
  get('fit').addEventListener('click', fit);
  const scaled = (short) => {
    scale.short = short;
    get('short').setAttribute('aria-pressed', String(short));
    get('true').setAttribute('aria-pressed', String(!short));
    scale.lay();
    draw();
  };
  get('short').addEventListener('click', () => scaled(true));
  get('true').addEventListener('click', () => scaled(false));
  const themes = ['auto', 'light', 'dark'];
  get('theme').addEventListener('click', () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme || 'auto') + 1) % 3];
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    get('theme').textContent = 'Theme: ' + next;
  });

  const held = new Map(), tip = get('tip');
  let dragged = 0;
  const place = (event) => event.clientX - get('chart').getBoundingClientRect().left;
  const thing = (event) => { const node = event.target.closest('[data-thing]'); return node && chart.things[node.dataset.thing]; };
  get('chart').addEventListener('pointerdown', (event) => {
    if (event.button) return;
    if (!held.size) dragged = 0;
    held.set(event.pointerId, place(event));
  });
  window.addEventListener('pointermove', (event) => {
    if (!held.has(event.pointerId)) return;
    const before = [...held.values()], wide = chart.width - chart.left, x = place(event), old = held.get(event.pointerId);
    held.set(event.pointerId, x);
    const now = [...held.values()];
    dragged += Math.abs(x - old);
    if (held.size === 2) {
      const grown = Math.abs(now[0] - now[1]) / Math.max(Math.abs(before[0] - before[1]), 1);
      zoom(Math.min(Math.max(grown, 0.5), 2), chart.at((now[0] + now[1]) / 2));
    } else if (dragged > 4) {
      get('chart').classList.add('moving');
      tip.hidden = true;
      pan((old - x) / wide);
    }
  });
  const release = (event) => { held.delete(event.pointerId); get('chart').classList.remove('moving'); };
  window.addEventListener('pointerup', release);
  window.addEventListener('pointercancel', release);
  get('chart').addEventListener('click', (event) => {
    const found = thing(event);
    if (dragged > 4 || !found) return;
    choose(Math.min(Math.max(found.i, 0), records.length - 1));
    // On a phone the record comes up over the lower half: the lanes move above it.
    if (getComputedStyle(get('detail')).position === 'fixed') get('chart').scrollIntoView({ block: 'start' });
  });
  get('chart').addEventListener('dblclick', (event) => zoom(2, chart.at(place(event))));
  get('chart').addEventListener('wheel', (event) => {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 240), chart.at(place(event)));
    else if (Math.abs(sideways) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) pan(sideways / chart.width);
    else return;
    event.preventDefault();
  }, { passive: false });
  get('chart').addEventListener('pointermove', (event) => {
    const found = event.pointerType === 'mouse' && !held.size && thing(event);
    tip.hidden = !found;
    if (!found) return;
    tip.replaceChildren(...found.lines.filter(Boolean).map((line, i) => make(i ? 'span' : 'b', cut(line, 160))));
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8), below = event.clientY + 18;
    tip.style.left = Math.max(left, 8) + 'px';
    tip.style.top = (below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : below) + 'px';
  });
  get('chart').addEventListener('pointerleave', () => { tip.hidden = true; });

  // The beginning

  for (const [name, value, tone] of data.summary) {
    const card = make('div', null, 'card ' + tone);
    card.append(make('b', value), make('span', name));
    get('summary').append(card);
  }
  for (const [name, value] of data.about) get('about').append(make('dt', name), make('dd', value, 'mono'));
  for (const state of new Set(data.states.map((stay) => known(stay.state)))) {
    const word = make('span'), colour = make('i');
    colour.style.background = `var(--${state})`;
    word.append(colour, printed(state));
    get('legend').append(word);
  }
  filter();
  const linked = records.findIndex((record) => '#' + record.p === location.hash);
  const telling = records.findIndex((record) => record.notices.length || record.settled.some(([, outcome]) => outcome !== 'sent'));
  const first = records.findIndex((record) => record.before === 'connected' && record.state !== record.before);
  choose(linked >= 0 ? linked : Math.max(telling >= 0 ? telling : first, 0), linked >= 0);
  new ResizeObserver(draw).observe(get('chart'));
  addEventListener('hashchange', () => choose(records.findIndex((record) => '#' + record.p === location.hash)));
}
