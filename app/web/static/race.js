/** The race page: a thin view over the shipped client. All text is set as text, never as HTML. */
import { GameWebSocket, VERSION } from './client.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const TOKEN_KEY = 'code-racer.guest';
const VERDICTS = {
  accepted: 'Accepted', wrong_answer: 'Wrong answer', runtime_error: 'Runtime error', time_limit: 'Too slow',
  memory_limit: 'Too much memory', invalid: 'Not valid', unsupported: 'Not supported here', judge_error: 'The judge failed',
};

let client = null;
let me = null;
let game = null;
let clockOffsetMs = 0;
let pending = false;
let progressTimer = null;

// ---------------------------------------------------------------- lobby

async function api(path, body, token) {
  const response = await fetch(path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

/** This tab's guest token: kept for the tab, so that a reload comes back as the same player. */
async function identity(name) {
  const kept = JSON.parse(sessionStorage.getItem(TOKEN_KEY) ?? 'null');
  if (kept && kept.name === name && Date.parse(kept.expires_at) > Date.now() + 60_000) return kept;
  const guest = { ...(await api('/api/guests', { name })), name };
  sessionStorage.setItem(TOKEN_KEY, JSON.stringify(guest));
  return guest;
}

function notice(text) {
  $('notice').textContent = text ?? '';
  $('notice').hidden = !text;
}

async function enter(event) {
  event.preventDefault();
  notice();
  $('go').disabled = true;
  try {
    const guest = await identity($('name').value.trim());
    let gameId = query.get('game');
    if (!gameId) {
      const wish = {
        min_players: Number($('min-players').value), max_players: Math.max(8, Number($('min-players').value)),
        time_limit_s: Math.round(Number($('minutes').value) * 60), finish: $('finish').value,
      };
      if ($('problem').value) wish.problem = $('problem').value;
      gameId = (await api('/api/games', wish, guest.token)).game_id;
      history.replaceState(null, '', `/?game=${gameId}`);
    }
    join(gameId, guest);
  } catch (error) {
    notice(error.message);
  } finally {
    $('go').disabled = false;
  }
}

function join(gameId, guest) {
  me = guest.player_id;
  client = new GameWebSocket(gameId, guest.token, { pingIntervalMs: 5000, client: `code-racer-page/${VERSION}` });
  client.on('state', showConnection).on('pong', showConnection).on('end', ended);
  client.on('retry', ({ delayMs }) => showConnection({ retryMs: delayMs }));
  for (const [type, handler] of Object.entries(HANDLERS)) client.on(type, ({ data }) => { handler(data); render(); });
  client.connect();
  $('link').value = `${location.origin}/?game=${gameId}`;
  $('lobby').hidden = true;
  $('room').hidden = false;
}

// ---------------------------------------------------------------- what the server tells

const player = (id) => game.players.find((one) => one.player_id === id);

const HANDLERS = {
  welcome(data) {
    notice();
    clockOffsetMs = data.server_time - Date.now();
    if (!data.resumed) game = data.game;
    if (game.problem.statement) showProblem(game.problem);
  },
  player_joined(data) {
    const known = player(data.player_id);
    if (known) Object.assign(known, { name: data.name, status: 'active', connected: true, ready: false });
    else game.players.push({ ...data, status: 'active', connected: true, ready: false, attempts: 0, tests_passed: 0 });
  },
  player_ready(data) { player(data.player_id).ready = data.status === 'ready'; },
  countdown_started(data) { Object.assign(game, { state: 'countdown', starts_at: data.starts_at }); },
  countdown_cancelled() { Object.assign(game, { state: 'waiting', starts_at: null }); },
  game_started(data) {
    Object.assign(game, { state: 'running', problem: data.problem, starts_at: data.starts_at, ends_at: data.ends_at });
    showProblem(data.problem);
    render(); // a hidden editor takes no focus
    $('code').focus();
  },
  player_progress(data) { const one = player(data.player_id); if (one) one.percent = data.percent; },
  code_submitted(data) { player(data.player_id).judging = true; },
  submission_judged(data) {
    const one = player(data.player_id);
    one.judging = false;
    one.attempts += 1;
    one.tests_total = data.tests_total || one.tests_total;
    one.tests_passed = Math.max(one.tests_passed, data.tests_passed);
    one.accepted = one.accepted || data.verdict === 'accepted';
    if (data.player_id === me) pending = false;
  },
  submission_result: showResult,
  player_disconnected(data) { player(data.player_id).connected = false; },
  player_reconnected(data) { player(data.player_id).connected = true; },
  player_left(data) { Object.assign(player(data.player_id), { status: 'left', connected: false, ready: false }); },
  game_finished(data) { Object.assign(game, { state: 'finished', ...data }); },
  error(data) {
    if (data.retry_after_ms != null) notice('The service needs a moment; what you did is sent again by itself.');
    else if (!data.id) notice(data.message); // what has an id is told where it was asked
  },
};

function ended({ detail }) {
  showConnection();
  if (game?.state !== 'finished') notice(`${detail}. Reload the page to try again.`);
}

// ---------------------------------------------------------------- view

const row = (parent, tag, cells) => {
  const line = document.createElement(tag);
  line.append(...cells);
  parent.append(line);
  return line;
};
const element = (tag, text, className) => {
  const one = document.createElement(tag);
  one.textContent = text;
  if (className) one.className = className;
  return one;
};

function showConnection(event = {}) {
  const texts = { idle: 'not connected', connecting: 'connecting…', open: 'connected', reconnecting: 'reconnecting…', waiting: 'connection lost', closed: 'disconnected' };
  const wait = event.retryMs === undefined ? '' : `, next try in ${Math.ceil(event.retryMs / 1000)} s`;
  $('connection').dataset.state = client.state;
  $('ready').disabled = client.state !== 'open'; // a click that cannot be sent would be lost
  $('connection-text').textContent = texts[client.state] + wait;
  $('rtt').textContent = client.state === 'open' && client.rttMs !== null ? `${client.rttMs.toFixed(client.rttMs < 10 ? 1 : 0)} ms` : '';
}

function render() {
  if (!game) return;
  const mine = player(me);
  const waiting = game.state === 'waiting' || game.state === 'countdown';
  $('room-title').textContent = {
    waiting: `Waiting for players: ${game.players.filter((one) => one.status === 'active').length} of at least ${game.min_players}`,
    countdown: 'Get ready', running: game.problem.title, finished: game.problem.title,
  }[game.state];
  $('share').hidden = !waiting;
  $('ready').hidden = !waiting;
  $('ready').textContent = mine?.ready ? 'Not ready after all' : 'I am ready';
  $('leave').hidden = game.state === 'finished';
  $('work').hidden = waiting;
  $('submit').disabled = game.state !== 'running' || pending || mine?.accepted;
  renderPlayers();
  renderRanking();
}

function renderPlayers() {
  $('players').replaceChildren();
  for (const one of game.players) {
    const line = row($('players'), 'li', [
      element('span', one.name + (one.player_id === me ? ' (you)' : ''), 'name'), element('span', what(one), 'what'),
    ]);
    if (one.status === 'left') line.className = 'gone';
    if (game.state === 'running' || game.state === 'finished') {
      const bar = document.createElement('progress');
      bar.max = 100;
      bar.value = share(one);
      bar.setAttribute('aria-label', `Progress of ${one.name}`);
      line.append(bar);
    }
  }
}

function share(one) {
  if (one.accepted) return 100;
  const judged = one.tests_total ? (one.tests_passed / one.tests_total) * 95 : 0;
  return Math.min(95, Math.max(judged, (one.percent ?? 0) * 0.5));
}

function what(one) {
  if (one.status === 'left') return 'left';
  if (!one.connected) return 'connection lost';
  if (game.state === 'waiting' || game.state === 'countdown') return one.ready ? 'ready' : 'not ready';
  if (one.accepted) return 'solved it';
  if (one.judging) return 'being judged…';
  return one.attempts ? `${one.tests_passed}/${one.tests_total ?? '?'} tests, ${one.attempts} tried` : 'working';
}

function renderRanking() {
  $('ranking').hidden = game.state !== 'finished';
  if (game.state !== 'finished') return;
  const winner = game.players.find((one) => one.player_id === game.winner);
  $('winner').textContent = !winner ? 'Nobody solved it' : winner.player_id === me ? 'You won!' : `${winner.name} won`;
  $('ranks').replaceChildren();
  for (const one of game.ranking) {
    const time = one.solved_ms === null ? '–' : `${(one.solved_ms / 1000).toFixed(1)} s`;
    row($('ranks'), 'tr', [one.rank, one.name, one.accepted ? 'all' : one.tests_passed, one.attempts, time].map((cell) => element('td', String(cell))));
  }
}

function showProblem(problem) {
  if ($('statement').dataset.problem === problem.id) return;
  $('statement').dataset.problem = problem.id;
  const examples = problem.tests.map((test) => element('pre', `solve(${test.args.map(python).join(', ')}) → ${python(test.expected)}`));
  const paragraphs = problem.statement.trim().split(/\n{2,}/).map(paragraph);
  $('statement').replaceChildren(
    element('h2', `${problem.title} (${problem.difficulty})`), ...paragraphs, element('h3', 'Examples'), ...examples,
  );
  if (!$('code').value) $('code').value = problem.starter.trim() + '\n';
  numberLines();
}

/** A paragraph of a statement: lines flow, and what stands in backticks is code. */
function paragraph(text) {
  const one = document.createElement('p');
  const parts = text.replaceAll('\n', ' ').split('`');
  one.append(...parts.map((part, index) => (index % 2 ? element('code', part) : part)));
  return one;
}

/** A JSON value as Python writes it. */
function python(value) {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  return JSON.stringify(value);
}

function verdict(text, className) {
  $('verdict').textContent = text;
  $('verdict').className = className;
}

function showResult(data) {
  verdict(VERDICTS[data.verdict] + (data.detail ? `: ${data.detail}` : ''), data.verdict === 'accepted' ? 'good' : 'bad');
  $('tests').hidden = data.tests.length === 0;
  $('test-rows').replaceChildren();
  for (const test of data.tests) {
    row($('test-rows'), 'tr', [
      element('td', test.passed ? '✓ passed' : '✗ failed', test.passed ? 'good' : 'bad'),
      element('td', test.input), element('td', test.expected), element('td', test.got),
    ]);
  }
}

function tickClock() {
  if (!game) return;
  const now = Date.now() + clockOffsetMs;
  let text = '';
  if (game.state === 'countdown') text = `Starts in ${Math.max(0, Math.ceil((game.starts_at - now) / 1000))}`;
  if (game.state === 'running') {
    const left = Math.max(0, Math.ceil((game.ends_at - now) / 1000));
    text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  }
  $('clock').textContent = text;
}

// ---------------------------------------------------------------- editor

let leaveEditor = false;

function numberLines() {
  const count = $('code').value.split('\n').length;
  $('lines').textContent = Array.from({ length: count }, (_, index) => index + 1).join('\n');
  $('lines').scrollTop = $('code').scrollTop;
}

/** Replace the selection as typing would, so that undo works. */
function type(text) {
  document.execCommand('insertText', false, text);
}

function onKey(event) {
  const area = $('code');
  if (event.key === 'Escape') { leaveEditor = true; return; }
  if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') { event.preventDefault(); submit(); return; }
  if (event.key === 'Tab' && !leaveEditor) {
    event.preventDefault();
    if (event.shiftKey) outdent(area);
    else type('    ');
  } else if (event.key === 'Enter') {
    event.preventDefault();
    const line = area.value.slice(0, area.selectionStart).split('\n').at(-1);
    const indent = line.match(/^ */)[0] + (line.trimEnd().endsWith(':') ? '    ' : '');
    type(`\n${indent}`);
  }
  leaveEditor = false;
}

function outdent(area) {
  const start = area.value.lastIndexOf('\n', area.selectionStart - 1) + 1;
  const spaces = area.value.slice(start).match(/^ {0,4}/)[0].length;
  if (!spaces) return;
  const caret = area.selectionStart;
  area.setSelectionRange(start, start + spaces);
  document.execCommand('delete');
  area.setSelectionRange(Math.max(start, caret - spaces), Math.max(start, caret - spaces));
}

function onInput() {
  numberLines();
  progressTimer ??= setTimeout(() => {
    progressTimer = null;
    const lines = $('code').value.split('\n').filter((line) => line.trim()).length;
    client?.sendMessage('progress', { lines, percent: Math.min(100, lines * 8) });
  }, 500);
}

/** Sent again until it is answered, over reconnects too, and done once. */
async function ask(type, data) {
  try {
    await client.request(type, data);
    notice('');
    return '';
  } catch (error) {
    return error.message;
  }
}

async function submit() {
  if ($('submit').disabled) return;
  pending = true;
  verdict('Being judged…', '');
  render();
  const refused = await ask('submit_code', { code: $('code').value, language: 'python' });
  if (!refused) return;
  pending = false;
  verdict(refused, 'bad');
  render();
}

// ---------------------------------------------------------------- start

$('enter').addEventListener('submit', enter);
$('ready').addEventListener('click', async () => {
  const refused = await ask('ready', { status: player(me)?.ready ? 'not_ready' : 'ready' });
  if (refused) notice(refused);
});
$('leave').addEventListener('click', () => { client.sendMessage('leave', {}); location.assign('/'); });
$('copy').addEventListener('click', async () => {
  $('link').select();
  await navigator.clipboard?.writeText($('link').value).catch(() => {});
  $('copy').textContent = 'Copied';
});
$('submit').addEventListener('click', submit);
$('code').addEventListener('keydown', onKey);
$('code').addEventListener('input', onInput);
$('code').addEventListener('scroll', () => { $('lines').scrollTop = $('code').scrollTop; });
$('name').value = JSON.parse(sessionStorage.getItem(TOKEN_KEY) ?? 'null')?.name ?? '';
setInterval(tickClock, 200);
if (query.get('game')) {
  $('lobby-title').textContent = 'Join the race';
  $('new-game').hidden = true;
  $('go').textContent = 'Join';
}
for (const problem of await api('/api/problems').catch(() => [])) {
  $('problem').append(new Option(`${problem.title} (${problem.difficulty})`, problem.id));
}
