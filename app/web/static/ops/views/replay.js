/** A game played back from its events: at any moment of it, how its players stood and what had happened. */
import { h, morph } from '../dom.js';
import { count, duration, moment, words } from '../format.js';
import { pill, playerLink, table } from '../parts.js';
import { eventLines } from './events.js';

const PAGE = 200;
/** So many events are played back, the first ones; the time line has them all. */
const MOST = 2_000;
/** So many of the events up to the moment are shown. */
const SHOWN = 12;
const SPEEDS = [['1', '1×'], ['10', '10×'], ['Infinity', 'as fast as possible']];

const isMotionUnwanted = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** What each event changes of its player. */
const STEPS = {
  player_joined: () => ({ out: null, isAway: false, isReady: false }),
  player_ready: (one, { ready }) => ({ isReady: ready }),
  code_submitted: (one, { attempt }) => ({ isJudging: true, submissions: attempt }),
  submission_judged: (one, { verdict, tests_passed: passed }) => ({ isJudging: false, verdict, isAccepted: one.isAccepted || verdict === 'accepted', passed: Math.max(one.passed, passed) }),
  player_disconnected: () => ({ isAway: true }),
  player_reconnected: () => ({ isAway: false }),
  player_left: (one, { reason }) => ({ out: reason, isAway: false, isReady: false }),
};

/** How the players stood after these events, in the order in which they came. */
export function standingsAfter(rows) {
  const players = new Map();
  let isRace = false;
  for (const { type, player_id: id, data } of rows) {
    isRace ||= type === 'game_started';
    for (const { player_id: ranked, rank } of data.ranking ?? []) if (players.has(ranked)) players.get(ranked).rank = rank;
    if (!STEPS[type]) continue;
    const known = players.get(id) ?? { id, passed: 0, submissions: 0 };
    players.set(id, { ...known, ...STEPS[type](known, data) });
  }
  return [...players.values()].map((one) => ({ ...one, standing: standingOf(one, isRace) }));
}

function standingOf({ out, isAway, isAccepted, isJudging, verdict, isReady }, isRace) {
  if (out) return [out === 'left' ? out : `left: ${words(out)}`, 'wait'];
  if (isAway) return ['lost', 'bad'];
  if (isAccepted) return ['accepted', 'good'];
  if (isJudging) return ['submitted'];
  if (verdict) return [`judged: ${words(verdict)}`];
  if (isRace) return ['racing'];
  return [isReady ? 'ready' : 'joined'];
}

let made = 0;

/** Plays a game back. What it shows is its own: a refresh of the view brings it events, and leaves the moment alone. */
export class Replay {
  #rows = [];
  #times = [];
  #total = 0;
  #names = new Map();
  /** The moment, in milliseconds from the first event on; Infinity is the end, also when that moves on. */
  #moment = Infinity;
  #request = 0;
  #shown = -1;

  constructor() {
    this.button = h('button', { type: 'button', onclick: () => this.#toggle() }, 'Play');
    this.slider = h('input', { type: 'range', min: 0, max: 0, 'aria-label': 'Moment of the race', oninput: () => this.#go(Number(this.slider.value)), onkeydown: (event) => this.#press(event) });
    this.speed = h('select', { 'aria-label': 'Speed' }, SPEEDS.map(([value, label]) => h('option', { value }, label)));
    this.line = h('p', { class: 'hint' });
    this.scene = h('div', { class: 'columns' });
    this.key = `replay ${made += 1}`;
    this.root = this.#frameOf(h('p', { class: 'ways' }, this.button, this.slider, this.speed), this.line, this.scene);
  }

  #frameOf = (...parts) => h('div', { class: 'replay', 'data-key': this.key, 'data-keep': true }, parts);

  /** Load the events that are not here yet, of `total`; `ask(query)` asks for a page of them. Raises Problem. */
  async load(total, ask) {
    this.#total = total;
    while (this.#rows.length < Math.min(total, MOST)) {
      const { rows } = await ask({ after: this.#rows.at(-1)?.seq, limit: PAGE });
      const fresh = rows.filter(({ seq }) => seq > (this.#rows.at(-1)?.seq ?? 0));
      if (!fresh.length) return;
      for (const row of fresh) {
        this.#rows.push(row);
        this.#times.push(Math.max(this.#times.at(-1) ?? 0, Math.round(moment(row.at) - moment(this.#rows[0].at))));
      }
    }
  }

  /** Draw what is known now, with the names of the players by their ids. What is in the document stays there, with the focus: its empty frame is what it is known by. */
  drawn(names) {
    this.#names = names;
    this.#shown = -1;
    this.#draw();
    return this.root.isConnected ? this.#frameOf() : this.root;
  }

  get #end() {
    return this.#times.at(-1) ?? 0;
  }

  get #now() {
    return Math.min(this.#moment, this.#end);
  }

  #go(to) {
    this.#moment = to >= this.#end ? Infinity : Math.max(0, to);
    this.#draw();
  }

  #next = () => this.#times.find((time) => time > this.#now) ?? Infinity;

  #press(event) {
    if (event.key === ' ') this.#toggle();
    else if (event.key === 'ArrowRight' || event.key === 'ArrowUp') this.#go(this.#next());
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowDown') this.#go(this.#times.findLast((time) => time < this.#now) ?? 0);
    else return;
    event.preventDefault();
  }

  // -------------------------------------------------------------- the time goes on

  #toggle() {
    if (this.#request) return this.#pause();
    if (this.#moment === Infinity) this.#go(0);
    this.button.textContent = 'Pause';
    this.#beat(performance.now());
  }

  #pause() {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
    this.button.textContent = 'Play';
  }

  #beat(before) {
    this.#request = requestAnimationFrame((now) => {
      if (!this.root.isConnected) return this.#pause();
      const speed = Number(this.speed.value);
      if (speed === Infinity) this.#go(isMotionUnwanted() ? Infinity : this.#next());
      else this.#go(this.#now + Math.max(0, now - before) * speed);
      if (this.#moment === Infinity) this.#pause();
      else this.#beat(now);
    });
  }

  // -------------------------------------------------------------- what is shown

  #draw() {
    const now = this.#now;
    const passed = this.#times.findLastIndex((time) => time <= now) + 1;
    const isSame = passed === this.#shown;
    if (isSame && this.#request && isMotionUnwanted()) return; // then the slider goes from event to event
    this.#shown = passed;
    this.slider.max = this.#end;
    this.slider.value = now;
    const line = `${duration(Math.round(now / 100) / 10)} of ${duration(Math.round(this.#end / 100) / 10)}, event ${count(passed)} of ${count(this.#rows.length)}`;
    this.slider.setAttribute('aria-valuetext', line);
    this.line.textContent = this.#total > MOST ? `${line}; the game has ${count(this.#total)}, which are all below` : line;
    if (!isSame) morph(this.scene, [this.#standings(passed), this.#events(passed)]);
  }

  #standings(passed) {
    return h('div', {}, table({
      caption: 'Players at this moment', rows: standingsAfter(this.#rows.slice(0, passed)), key: (row) => row.id, empty: 'Nobody is in it yet.',
      columns: [
        { name: 'Player', cell: (row) => playerLink(row.id, this.#names.get(row.id)) }, { name: 'Standing', cell: (row) => pill(...row.standing) },
        { name: 'Tests', isNumber: true, cell: (row) => count(row.passed) }, { name: 'Submissions', isNumber: true, cell: (row) => count(row.submissions) },
        { name: 'Place', isNumber: true, cell: (row) => count(row.rank) },
      ],
    }));
  }

  #events(passed) {
    const from = Math.max(0, passed - SHOWN);
    return h('div', {}, from > 0 && h('p', { class: 'hint' }, `After ${count(from)} others`), eventLines(this.#rows.slice(from, passed), this.#names));
  }
}
