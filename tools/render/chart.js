'use strict';
// The swimlanes: where everything stands (Scale), and how it is drawn (Chart). Whatever the
// incident says reaches the page as text of a node or as a value of an attribute, never as markup.

const SVG = 'http://www.w3.org/2000/svg';
const LANES_MAX = 24;
const ARROWS_MAX = 40;
const DAY = 86400e9;
const printed = (state) => (state === null ? 'unclaimed' : String(state).replaceAll('_', '-'));
const known = (state) => (/^[a-z_]+$/.test(state || '') ? state : 'superseded');
const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + '…' : text);

function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  if (text !== undefined) node.textContent = text;
  return node;
}

// From a record to a place between `low` and `high`, in true time or with the quiet shortened.
class Scale {
  constructor(records) {
    this.records = records;
    this.short = true;
    this.lay();
  }

  lay() {
    const at = [];
    this.records.forEach((record, i) => {
      if (!this.short) at.push(record.t);
      else if (i === 0) at.push(0);
      else at.push(at[i - 1] + 0.7 + Math.log10(1 + (record.t - this.records[i - 1].t) / 1e6));
    });
    const last = at[at.length - 1];
    const pad = Math.max(last * 0.03, this.short ? 0.4 : 1e6);
    Object.assign(this, { at, low: -pad, high: last + 2.4 * pad });
    this.fit();
  }

  fit() {
    this.from = this.low;
    this.to = this.high;
  }

  // The place of a record; -1 is before all of them, their number is after them.
  place(i) {
    if (i < 0) return this.low;
    return i >= this.at.length ? this.high : this.at[i];
  }

  view(from, to) {
    const all = this.high - this.low;
    const wide = Math.min(Math.max(to - from, all / 2e6, this.short ? 0.4 : 1e3), all);
    const start = Math.min(Math.max((from + to - wide) / 2, this.low), this.high - wide);
    this.from = start;
    this.to = start + wide;
  }

  zoom(factor, around) {
    const wide = (this.to - this.from) / factor;
    const part = (around - this.from) / (this.to - this.from);
    const from = around - wide * part;
    this.view(from, from + wide);
  }

  show(i) {
    const at = this.place(i), wide = this.to - this.from;
    if (at < this.from + wide * 0.04 || at > this.to - wide * 0.04) this.view(at - wide / 2, at + wide / 2);
  }
}

class Chart {
  constructor(host, data, scale, clock) {
    Object.assign(this, { host, data, scale, clock, chosen: null });
    this.things = [];
    const lanes = data.controllers.map((life) => life.name);
    for (const socket of data.sockets) if (!lanes.includes(socket.on)) lanes.push(socket.on);
    this.together = lanes.length > LANES_MAX;
    this.lanes = this.together ? [lanes.length + ' controllers'] : lanes;
    this.epoch = new Map(data.controllers.map((life) => [life.name, life.epoch]));
    this.days = data.records[data.records.length - 1].t > DAY;
    this.timers = [...new Set(data.timers.map((timer) => timer.timer))];
    this.packed = this.pack();
  }

  // A row for each reply, or where they are many, as few as let none overlap another.
  pack() {
    const ends = [], row = new Map(), few = this.data.replies.length <= LANES_MAX;
    this.data.replies.forEach((reply, number) => {
      let at = few ? number : ends.findIndex((end) => end < reply.a);
      if (at < 0) at = ends.length;
      ends[at] = Math.max(reply.b, reply.a);
      row.set(reply.reply, at);
      reply.row = at;
    });
    this.few = few;
    this.row = row;
    return ends.length;
  }

  x(i) {
    const { from, to } = this.scale;
    return this.left + ((this.scale.place(i) - from) / (to - from)) * (this.width - this.left);
  }

  at(x) {
    const { from, to } = this.scale;
    return from + ((x - this.left) / (this.width - this.left)) * (to - from);
  }

  laneTop(name) {
    const lane = this.together ? 0 : this.lanes.indexOf(name);
    return lane < 0 ? null : this.tops.lanes + lane * 52;
  }

  lay() {
    this.width = Math.max(this.host.clientWidth, 300);
    this.left = this.width < 560 ? 112 : 148;
    const tops = { axis: 0, records: 30, live: 62 };
    let y = 94;
    tops.lanes = y + 18;
    y = tops.lanes + this.lanes.length * 52;
    if (this.packed) {
      tops.replies = y + 22;
      y = tops.replies + this.packed * 26;
    }
    if (this.timers.length) {
      tops.timers = y + 22;
      y = tops.timers + this.timers.length * 18;
    }
    this.tops = tops;
    this.height = y + 12;
  }

  draw() {
    this.lay();
    this.things = [];
    const root = svg('svg', { viewBox: `0 0 ${this.width} ${this.height}`, height: this.height });
    const defs = svg('defs', {});
    const hatch = svg('pattern', { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
    hatch.append(svg('rect', { width: 2.4, height: 7, fill: '#fff', opacity: 0.3 }));
    const tip = svg('marker', { id: 'tip-end', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' });
    tip.append(svg('path', { d: 'M0,0.8 L8,4 L0,7.2 z', class: 'head-arrow' }));
    defs.append(hatch, tip);
    this.root = svg('g', {});
    root.append(defs, this.root);
    this.bands();
    this.axis();
    this.live();
    this.controllers();
    if (this.packed) this.replies();
    if (this.timers.length) this.timing();
    this.marks();
    this.veil();
    this.gutter();
    this.choose();
    this.host.replaceChildren(root);
  }

  add(tag, attributes, text) {
    const node = svg(tag, attributes, text);
    this.root.append(node);
    return node;
  }

  // Something to point at: a record that a click chooses, and lines for the tip.
  pick(node, i, ...lines) {
    node.classList.add('pick');
    node.dataset.thing = this.things.push({ i, lines }) - 1;
    return node;
  }

  // From where to where a span is seen; null where that is not in view.
  seen(span) {
    const a = Math.max(this.x(span.a), this.left - 8), b = Math.min(this.x(span.b), this.width + 8);
    return b < this.left || a > this.width ? null : [a, Math.max(b - a, 1.5)];
  }

  // Bars of one row: what is less than a pixel beside another is not drawn again.
  bars(spans, draw) {
    const drawn = new Map();
    for (const span of spans) {
      const place = this.seen(span);
      if (!place) continue;
      const key = span.on + '/' + span.timer;
      if (place[1] <= 1.5 && place[0] - (drawn.get(key) ?? -9) < 1) continue;
      drawn.set(key, place[0]);
      draw(span, ...place);
    }
  }

  // The longest of some texts that has room in a bar, or the beginning of the last one.
  label(x, wide, y, kind, ...texts) {
    const from = Math.max(x, this.left) + 7, room = Math.min(x + wide, this.width) - from - 4;
    const most = Math.floor(room / 6.6), last = texts[texts.length - 1];
    const text = texts.find((one) => one.length <= most) || cut(last, most);
    if (most >= Math.min(last.length, 6)) this.add('text', { x: from, y, class: kind }, text);
  }

  bands() {
    const band = (y, height) => this.add('rect', { x: 0, y, width: this.width, height, class: 'band' });
    this.lanes.forEach((_, i) => i % 2 || band(this.tops.lanes + i * 52 - 4, 52));
  }

  axis() {
    const { records } = this.data, bottom = this.height;
    const tick = (x, text) => {
      this.add('line', { x1: x, x2: x, y1: 24, y2: bottom, class: 'tick' });
      this.add('text', { x: x + 4, y: 18, class: 'soft small' }, text);
    };
    const room = (this.width < 560 ? 76 : 92) + (this.days ? 34 : 0);
    if (this.scale.short) {
      let last = -1e9;
      records.forEach((record, i) => {
        const x = this.x(i);
        if (x < this.left || x > this.width - room + 16 || x - last < room) return;
        tick(x, this.clock(record.t, true, this.days));
        last = x;
      });
      return;
    }
    const { from, to } = this.scale, most = Math.max(1, (this.width - this.left) / (room + 24));
    const units = [1e3, 1e6, 1e9, 60e9, 3600e9, 86400e9];
    const steps = units.flatMap((unit, n) => (n < 3 ? [1, 2, 5, 10, 20, 50, 100, 200, 500] : n < 5 ? [1, 2, 5, 10, 15, 30] : [1, 2, 7, 30]).map((k) => k * unit));
    const step = steps.sort((a, b) => a - b).find((one) => (to - from) / one <= most) || 365 * 86400e9;
    // Whole seconds and minutes of the clock, not of the incident.
    const shift = step >= 1e6 ? (this.data.start_ms * 1e6) % Math.min(step, 86400e9) : 0;
    for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) {
      const x = this.left + ((t - from) / (to - from)) * (this.width - this.left);
      if (x >= this.left && x < this.width - room + 30) tick(x, this.clock(t, step < 1e9, this.days));
    }
  }

  marks() {
    const { records } = this.data, y = this.tops.records + 14;
    this.add('line', { x1: this.left, x2: this.width, y1: y, y2: y, class: 'rule' });
    let last = -1e9, busy = -1e9, told = -1e9;
    records.forEach((record, i) => {
      const x = this.x(i);
      // Of records in one place that is seen which had a consequence.
      const apart = x - last >= 2 || (!record.idle && x - busy >= 2) || record.notices.length;
      if (x >= this.left - 6 && x <= this.width + 6 && apart) {
        const room = x - last;
        if (i && room > 66) this.add('text', { x: (x + last) / 2, y: y - 5, class: 'soft small', 'text-anchor': 'middle' }, this.passed(i));
        const moved = record.state !== record.before;
        const node = this.add('circle', { cx: x, cy: y, r: (record.idle ? 3 : 5) - (room < 7 ? 1.5 : 0), class: 'dot' + (record.idle ? ' idle' : moved ? '' : ' ask') });
        this.pick(node, i, `#${record.p} ${record.said}`, this.data.sentences[record.rule], record.then);
        const top = record.controller === null ? null : this.laneTop(record.controller);
        if (record.notices.length && top !== null) {
          const flag = this.add('path', { d: `M${x - 7},${top - 3} L${x + 7},${top - 3} L${x},${top + 9} z`, class: 'notice' });
          this.pick(flag, i, 'notice: ' + record.notices.join(', '), this.data.sentences[record.rule]);
        }
        if (record.times > 1 && x - told > 60) {
          this.add('text', { x, y: y + 17, class: 'soft small', 'text-anchor': 'middle' }, '×' + record.times.toLocaleString('en'));
          told = x;
        }
        last = x;
        if (!record.idle) busy = x;
      } else if (x < this.left) last = x;
    });
  }

  passed(i) {
    return '+' + duration(this.data.records[i].t - this.data.records[i - 1].t);
  }

  live() {
    const y = this.tops.live + 4;
    this.bars(this.data.states.filter((one) => one.live), (span, x, width) =>
      this.pick(this.add('rect', { x, y, width, height: 12, class: 'live' }), span.a, 'live: ' + span.on, 'for ' + span.took));
    this.bars(this.data.gaps, (gap, x, width) => {
      const node = this.add('rect', { x, y: y - 2, width, height: 16, class: 'gap bar' });
      this.add('rect', { x, y: y - 2, width, height: 16, class: 'hatch' });
      this.pick(node, gap.a, `gap: ${gap.cause}`, gap.took, `${gap.dials} dials, ${gap.held} replies held`);
      this.label(x, width, y + 10, 'on-bar small on-conflict', `gap ${gap.took}: ${gap.cause}`, `gap ${gap.took}`);
    });
  }

  controllers() {
    this.bars(this.data.states, (stay, x, width) => {
      const top = this.laneTop(stay.on), state = known(stay.state);
      const ended = ['logged_out', 'conflict', 'closed', 'superseded'].includes(state);
      const weak = stay.phase === 'waiting' || (state === 'connected' && !stay.live);
      const node = this.add('rect', { x, y: top + 4, width, height: 24, class: `bar f-${state}${weak ? ' weak' : ''}` });
      if (state === 'reconnect_gap' || stay.degraded || ended) this.add('rect', { x, y: top + 4, width, height: 24, class: 'hatch' });
      const more = [stay.phase, stay.degraded ? 'degraded' : null, state === 'connected' && !stay.live ? 'identity not proven' : null].filter(Boolean);
      const name = printed(stay.state) + (more.length ? `, ${more.join(', ')}` : '');
      this.pick(node, stay.a, `${stay.on}: ${name}`, 'for ' + stay.took);
      const who = this.together ? stay.on + ' ' : '';
      this.label(x, width, top + 20, `on-bar on-${state}`, who + name, who + printed(stay.state));
    });
    this.bars(this.data.sockets, (socket, x, width) => {
      const top = this.laneTop(socket.on), kind = known(socket.is);
      const node = this.add('rect', { x, y: top + 31, width, height: 7, rx: 2, class: kind });
      this.pick(node, socket.a, `${socket.on} socket ${socket.socket}: ${socket.is}`, 'for ' + socket.took);
    });
    for (const life of this.data.controllers) {
      const x = this.x(life.b), top = this.laneTop(life.name);
      if (life.state !== 'superseded' || x < this.left || x > this.width) continue;
      this.pick(this.add('rect', { x: x - 1.5, y: top, width: 3, height: 40, class: 'f-closed' }), life.b, `${life.name} is superseded`);
      if (!this.together) this.label(x, 110, top + 20, 'soft small', 'superseded');
    }
  }

  replies() {
    const middle = (row) => this.tops.replies + row * 26 + 11;
    const drawn = new Map();
    // In a row that is full of them, what ends within two pixels is not drawn again.
    const full = (key, x) => !this.few && Math.abs(x - (drawn.get(key) ?? -9)) < 2 || !drawn.set(key, x);
    for (const wait of this.data.waits) {
      const place = this.seen(wait), row = this.row.get(wait.reply);
      if (!place || row === undefined || full('wait' + row, place[0] + place[1])) continue;
      const node = this.add('rect', { x: place[0], y: middle(row) - 5, width: place[1], height: 10, rx: 3, class: wait.is === 'sending' ? 'sending' : 'held' });
      this.pick(node, wait.a, `${wait.reply}: ${wait.is}${wait.via ? ' via ' + wait.via : ''}`, 'for ' + wait.took);
    }
    const inside = (i) => i >= 0 && this.x(i) >= this.left && this.x(i) <= this.width;
    const arrows = this.data.replies.reduce((sum, reply) => sum + inside(reply.a) + reply.sends.filter(([i]) => inside(i)).length, 0);
    const few = arrows <= ARROWS_MAX;
    for (const reply of this.data.replies) {
      const y = middle(reply.row), a = this.x(reply.a), b = this.x(reply.b);
      const from = reply.on === null || reply.a < 0 ? null : this.laneTop(reply.on);
      const apart = !reply.sends.some(([i]) => i === reply.a);
      if (few && apart && from !== null && inside(reply.a)) this.arrow(a, from + 39, a, y - 6, 'dotted');
      for (const [i, via] of reply.sends) {
        const to = this.laneTop(via), x = this.x(i);
        if (few && to !== null && inside(i)) this.arrow(x, y - 6, x, to + 40, '');
      }
      if (b < this.left || b > this.width || full(reply.row, b)) continue;
      const ends = { sent: '✓', refused: '×', rejected: '×', expired: '!', uncertain: '?', cancelled: '–' };
      const done = ends[reply.outcome] !== undefined, kind = done ? reply.outcome : 'pending';
      const x = done ? b : b - 8;
      const node = this.add('circle', { cx: x, cy: y, r: 7.5, class: 'o-' + kind });
      this.add('text', { x, y: y + 3.6, class: 'glyph' }, ends[reply.outcome] || '…');
      const why = reply.reason ? ` (${reply.reason})` : '';
      this.pick(node, done ? reply.b : reply.a, `${reply.reply}: ${reply.outcome}${why}`, 'after ' + reply.took);
      if (!this.few) continue;
      const text = cut(reply.outcome + why, 30), room = this.width - x - 14 > text.length * 6.4;
      this.add('text', { x: room ? x + 12 : x - 12, y: y + 4, class: 'small over', 'text-anchor': room ? 'start' : 'end' }, text);
    }
  }

  arrow(x1, y1, x2, y2, kind) {
    const bend = Math.min(22, Math.abs(y2 - y1) / 3);
    const d = `M${x1},${y1} C${x1 - bend},${y1 + (y2 - y1) / 3} ${x2 - bend},${y2 - (y2 - y1) / 3} ${x2},${y2}`;
    this.add('path', { d, class: 'arrow ' + kind, 'marker-end': 'url(#tip-end)' });
  }

  timing() {
    this.bars(this.data.timers, (timer, x, width) => {
      const y = this.tops.timers + this.timers.indexOf(timer.timer) * 18 + 8;
      const lines = [`timer ${timer.timer}${timer.reply ? ' of ' + timer.reply : ''}: ${timer.end || 'still set'}`, 'due ' + timer.due, 'after ' + timer.took];
      this.pick(this.add('rect', { x, y: y - 2.5, width, height: 5, rx: 2.5, class: 'timer' }), timer.a, ...lines);
      const end = this.x(timer.b);
      if (end < this.left || end > this.width || timer.end === null) return;
      const mark = timer.end === 'fired'
        ? this.add('circle', { cx: end, cy: y, r: 4, class: 'fired' })
        : this.add('path', { d: `M${end - 3},${y - 3} l6,6 m0,-6 l-6,6`, class: 'cancelled' });
      this.pick(mark, timer.b, ...lines);
    });
  }

  // What is not in the incident: nobody knows what was so there.
  veil() {
    const a = this.x(0), b = this.x(this.data.records.length - 1);
    const veil = (x, width) => width > 0 && this.add('rect', { x, y: 24, width, height: this.height, class: 'veil', 'pointer-events': 'none' });
    veil(this.left, a - this.left);
    veil(Math.max(b, this.left), this.width - Math.max(b, this.left));
  }

  gutter() {
    this.add('rect', { x: 0, y: 0, width: this.left, height: this.height, class: 'gutter' });
    this.add('line', { x1: this.left, x2: this.left, y1: 0, y2: this.height, class: 'rule' });
    const most = Math.floor((this.left - 20) / 7);
    const text = (y, words, kind = '') => {
      const node = this.add('text', { x: 12, y, class: kind }, cut(words, most));
      if (words.length > most) node.append(svg('title', {}, words));
    };
    text(18, this.data.records[0].time.slice(0, this.days ? 4 : 10), 'soft small');
    text(this.tops.records + 18, 'records');
    text(this.tops.live + 14, 'live');
    text(this.tops.lanes - 10, 'CONTROLLERS', 'head');
    this.lanes.forEach((name, i) => {
      const y = this.tops.lanes + i * 52;
      text(y + 20, name);
      const epoch = this.epoch.get(name);
      if (epoch !== undefined) text(y + 37, `epoch ${epoch}`, 'soft small');
    });
    if (this.packed) {
      text(this.tops.replies - 8, 'REPLIES', 'head');
      if (this.few) for (const reply of this.data.replies) text(this.tops.replies + reply.row * 26 + 15, reply.reply);
      else text(this.tops.replies + 15, `${this.data.replies.length} replies`);
    }
    if (this.timers.length) text(this.tops.timers - 8, 'TIMERS', 'head');
    this.timers.forEach((name, i) => text(this.tops.timers + i * 18 + 12, name, 'soft'));
  }

  choose() {
    if (this.chosen === null) return;
    const x = this.x(this.chosen);
    if (x < this.left || x > this.width) return;
    this.add('line', { x1: x, x2: x, y1: 24, y2: this.height, class: 'chosen' });
    this.add('circle', { cx: x, cy: this.tops.records + 14, r: 8.5, class: 'ring' });
  }
}

function duration(ns) {
  const s = ns / 1e9;
  if (s < 1) return `${+(s * 1e3).toPrecision(3)} ms`;
  if (s < 60) return `${+s.toPrecision(3)} s`;
  const two = (big, name, small, less) => `${big} ${name}${small ? ` ${small} ${less}` : ''}`;
  if (s < 3600) return two(Math.floor(s / 60), 'min', Math.floor(s % 60), 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor((s % 86400) / 3600), 'h');
}
