/** The console: where one is decides what is loaded and drawn; what is live is drawn again as it changes. */
import { Problem, ask, refused } from './api.js';
import { $, h, morph } from './dom.js';
import { at } from './format.js';
import { watchKeys } from './keys.js';
import { Live } from './live.js';
import { problemLine } from './parts.js';
import { but, here, isOfAll, to } from './place.js';
import { openSign, showRight, watchSign } from './sign.js';
import { alerts } from './views/alerts.js';
import { bans, changes } from './views/changes.js';
import { closes } from './views/closes.js';
import { connection, connections } from './views/connections.js';
import { diagnostics } from './views/diagnostics.js';
import { find } from './views/find.js';
import { game, games } from './views/games.js';
import { hot, slow } from './views/hot.js';
import { log } from './views/log.js';
import { player } from './views/player.js';
import { replica, replicas } from './views/replica.js';
import { settings } from './views/settings.js';

const VIEWS = { replica, replicas, alerts, connections, connection, games, game, player, hot, closes, slow, changes, bans, log, settings, diagnostics, find };

const MENU = [
  ['Now', ['replica', 'replicas', 'alerts']],
  ['Who', ['connections', 'games', 'hot', 'closes', 'slow']],
  ['Service', ['changes', 'bans', 'log', 'settings', 'diagnostics']],
];

const REFRESH_MS = 5_000;

/** The name of the replica that serves the page. */
let own = '';
/** What the replica says of itself, the newest; and who it says one is. */
let self = {};
/** What is shown: the place, its view, what it was drawn from. */
let shown = null;
let timer = null;

const live = new Live(hear, showLive);

// ---------------------------------------------------------------- the place

async function go() {
  const place = here();
  const view = VIEWS[place.view] ?? null;
  const isSame = shown?.place.view === place.view && shown.place.id === place.id;
  const had = isSame ? shown.data : undefined;
  shown?.abort.abort();
  if (!shown || shown.place.query.replica !== place.query.replica) follow(place.query.replica);
  shown = { place, view, had, data: undefined, abort: new AbortController(), isFirst: !shown, isSame };
  drawMenu();
  if (!view) return draw([h('div', { class: 'head' }, h('h1', { tabindex: '-1' }, 'There is no such view')), h('p', {}, h('a', { href: to('replica') }, 'To this replica'))]);
  $('content').setAttribute('aria-busy', 'true');
  await load();
}

/** Load what is shown, and again after a time, while somebody looks. */
async function load() {
  const mine = shown;
  let isKnown = true;
  clearTimeout(timer);
  const { place, view, abort, data: had = mine.had } = mine;
  try {
    mine.data = await view.load({ ...place, had, ask: (path, options) => ask(path, { signal: abort.signal, ...options }) });
    if (mine === shown) drawView();
  } catch (problem) {
    if (mine !== shown || abort.signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    isKnown = !refused(problem);
    drawProblem(problem);
  } finally {
    if (isKnown && mine === shown && view.everyMs !== null) timer = setTimeout(again, view.everyMs ?? REFRESH_MS);
  }
}

function again() {
  if (document.hidden || document.querySelector('dialog[open]')) timer = setTimeout(again, REFRESH_MS);
  else load();
}

function drawView(...above) {
  draw([above, shown.view.draw(shown.data, { ...shown.place, self, mayAct: self.right === 'act', reload: load })].flat(2).filter(Boolean));
}

function draw(nodes) {
  const content = $('content');
  content.removeAttribute('aria-busy');
  content.dataset.place = location.hash;
  const isDrawn = shown.isDrawn;
  shown.isDrawn = true;
  if (isDrawn || shown.isSame) morph(content, nodes);
  else content.replaceChildren(...nodes);
  const title = content.querySelector('h1');
  document.title = `${title?.textContent ?? 'Console'} · Code Racer`;
  if (isDrawn || shown.isSame) return;
  scrollTo(0, 0);
  if (!shown.isFirst) title?.focus({ preventScroll: true });
}

/** What is not to be had: what was drawn before stays, with a word above it. */
function drawProblem(problem) {
  const isGone = problem.status === 404 || problem.status === 410;
  if (refused(problem)) {
    showRight();
    return draw([h('div', { class: 'head' }, h('h1', { tabindex: '-1' }, 'You may not read here')), h('p', {}, `${problem.message}.`), h('p', {}, h('button', { type: 'button', class: 'primary', onclick: openSign }, 'Use a token'))]);
  }
  if (shown.data === undefined || isGone) {
    const up = shown.view.parent;
    return draw([h('div', { class: 'head' }, h('h1', { tabindex: '-1' }, isGone ? 'It is not there (any more)' : 'Not to be had now')), h('p', { class: 'problem' }, `${problem.message}.`), up && h('p', {}, h('a', { class: 'button', href: to(up) }, `To all ${up}`))].filter(Boolean));
  }
  return drawView(problemLine(problem));
}

// ---------------------------------------------------------------- what is live

function follow(target) {
  live.follow(isOfAll({ replica: target }) || target === own ? '' : target);
}

function hear(name, data) {
  if (name === 'replica') showSelf(data);
  const merge = shown?.view?.live?.[name];
  if (!merge || shown.data === undefined || document.hidden) return;
  shown.data = merge(shown.data, data, shown.place);
  drawView();
}

/** A watcher's events are for all: who one is has been said in the answer to oneself. */
function showSelf(data) {
  const had = self.right;
  self = { ...self, ...data };
  showRight(self);
  drawTargets();
  if (had !== self.right && shown?.data !== undefined) drawView();
}

function showLive(state, since) {
  $('live').dataset.state = state;
  const silent = since ? ['the replica has not answered since ', at(since.getTime())] : [];
  $('live-text').replaceChildren(...({ live: ['live'], polling: ['every 5 s'], refused: ['no access'], silent }[state] ?? ['connecting…']));
  document.body.dataset.live = state;
}

// ---------------------------------------------------------------- the frame

function drawMenu() {
  const now = shown.view?.parent ?? shown.place.view;
  morph($('nav'), MENU.map(([group, names]) => h('div', {}, h('h2', {}, group), h('ul', {}, names.map((name) => h('li', {}, h('a', { href: to(name), 'aria-current': name === now ? 'page' : null }, VIEWS[name].name)))))));
}

let targets = [];

/** The replicas to choose from; who has one alone is not asked. */
async function findTargets() {
  const answer = await ask('replicas').catch(() => null);
  targets = (answer?.rows ?? answer ?? []).map((one) => one.replica);
  drawTargets();
}

function drawTargets() {
  const chosen = isOfAll(here().query) ? '' : here().query.replica;
  const mine = own || 'this one';
  const options = targets.length > 1 ? [['', `all in lists, else ${mine}`], ...targets.map((one) => [one, one])] : [['', mine]];
  if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, chosen]);
  morph($('target'), options.map(([value, label]) => h('option', { value, selected: value === chosen }, label)));
  if ($('target').value !== chosen) $('target').value = chosen;
}

/** Who one is, from the answer to oneself. */
async function meet() {
  try {
    const answer = await ask('replica');
    own = answer.replica;
    if (here().query.replica === own) follow(own);
    showSelf(answer);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401 || problem.status === 403) showRight();
  }
}

function up() {
  const parent = shown?.view?.parent;
  if (parent) location.hash = to(parent);
}

function start() {
  $('find').onsubmit = (event) => {
    event.preventDefault();
    const id = $('find-id').value.trim();
    if (id) location.hash = to('find', id);
  };
  $('target').onchange = () => { location.hash = but({ replica: $('target').value || undefined, after: undefined, page: undefined }); };
  document.querySelector('.skip').onclick = (event) => { event.preventDefault(); $('content').focus(); };
  watchSign(() => { self = {}; meet(); findTargets(); follow(here().query.replica); go(); });
  watchKeys(up);
  addEventListener('hashchange', go);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) live.stop();
    else follow(here().query.replica);
  });
  meet();
  findTargets();
  go();
}

start();
