/** The race page: a thin view over the shipped client. Here it starts, and here its parts meet. */
import { api } from './api.js';
import { GameWebSocket, VERSION } from './client.js';
import { $ } from './dom.js';
import { code, focusEditor, setCode, startEditor } from './editor.js';
import { wordsOf } from './ends.js';
import { CHANGES, playerOf } from './game.js';
import { identity, knownName } from './session.js';
import { showConnection } from './status.js';
import { draw, notice, showClock, showProblem, showResult, verdict } from './view.js';

const PROGRESS_MS = 500;

const query = new URLSearchParams(location.search);
const race = { client: null, me: null, game: null, clockOffsetMs: 0, isPending: false };
let progressTimer = null;

// ---------------------------------------------------------------- lobby

async function enter(event) {
  event.preventDefault();
  notice();
  $('go').disabled = true;
  try {
    const guest = await identity($('name').value.trim());
    join(query.get('game') ?? await newGame(guest.token), guest);
  } catch (error) {
    notice(error.message);
  } finally {
    $('go').disabled = false;
  }
}

async function newGame(token) {
  const wish = {
    min_players: Number($('min-players').value), max_players: Math.max(8, Number($('min-players').value)),
    time_limit_s: Math.round(Number($('minutes').value) * 60), finish: $('finish').value,
  };
  if ($('problem').value) wish.problem = $('problem').value;
  const { game_id: gameId } = await api('/api/games', wish, token);
  history.replaceState(null, '', `/?game=${gameId}`);
  return gameId;
}

function join(gameId, guest) {
  const client = new GameWebSocket(gameId, guest.token, { pingIntervalMs: 5000, client: `code-racer-page/${VERSION}` });
  Object.assign(race, { client, me: guest.player_id });
  client.on('state', () => showConnection(client)).on('pong', () => showConnection(client)).on('end', ended);
  client.on('retry', ({ delayMs }) => showConnection(client, delayMs));
  client.on('*', hear);
  client.connect();
  $('link').value = `${location.origin}/?game=${gameId}`;
  $('lobby').hidden = true;
  $('room').hidden = false;
}

// ---------------------------------------------------------------- what the server tells

/** A message changes the game, is told to who has to do more about it, and then all is drawn. */
function hear({ type, data }) {
  CHANGES[type]?.(race.game, data);
  HANDLERS[type]?.(data);
  draw(race);
}

const HANDLERS = Object.freeze({
  __proto__: null,
  welcome(data) {
    notice();
    race.clockOffsetMs = data.server_time - Date.now();
    if (!data.resumed) race.game = data.game;
    if (race.game.problem.statement) pose(race.game.problem);
  },
  game_started({ problem }) {
    pose(problem);
    draw(race); // a hidden editor takes no focus
    focusEditor();
  },
  submission_judged(data) { if (data.player_id === race.me) race.isPending = false; },
  submission_result: showResult,
  error(data) {
    if (data.retry_after_ms != null) notice('The service needs a moment; what you did is sent again by itself.');
    else if (!data.id) notice(data.message); // what has an id is told where it was asked
  },
});

function pose(problem) {
  if (showProblem(problem) && !code()) setCode(`${problem.starter.trim()}\n`);
}

function ended(end) {
  showConnection(race.client);
  if (race.game?.state !== 'finished') notice(wordsOf(end));
}

// ---------------------------------------------------------------- what the player does

function onInput() {
  progressTimer ??= setTimeout(() => {
    progressTimer = null;
    const lines = code().split('\n').filter((line) => line.trim()).length;
    race.client?.sendMessage('progress', { lines, percent: Math.min(100, lines * 8) });
  }, PROGRESS_MS);
}

/** Sent again until it is answered, over reconnects too, and done once; the words of a refusal. */
async function ask(type, data) {
  try {
    await race.client.request(type, data);
    notice();
    return '';
  } catch (error) {
    return error.message;
  }
}

async function submit() {
  if ($('submit').disabled) return;
  race.isPending = true;
  verdict('Being judged…');
  draw(race);
  const refused = await ask('submit_code', { code: code(), language: 'python' });
  if (!refused) return;
  race.isPending = false;
  verdict(refused, 'bad');
  draw(race);
}

async function toggleReady() {
  const refused = await ask('ready', { status: playerOf(race.game, race.me)?.ready ? 'not_ready' : 'ready' });
  if (refused) notice(refused);
}

function leave() {
  race.client.sendMessage('leave', {});
  location.assign('/');
}

async function copyLink() {
  $('link').select();
  await navigator.clipboard?.writeText($('link').value).catch(() => {});
  $('copy').textContent = 'Copied';
}

// ---------------------------------------------------------------- start

$('enter').addEventListener('submit', enter);
$('ready').addEventListener('click', toggleReady);
$('leave').addEventListener('click', leave);
$('copy').addEventListener('click', copyLink);
$('submit').addEventListener('click', submit);
startEditor({ onInput, onSubmit: submit });
$('name').value = knownName();
setInterval(() => { if (race.game) showClock(race.game, Date.now() + race.clockOffsetMs); }, 200);
if (query.get('game')) {
  $('lobby-title').textContent = 'Join the race';
  $('new-game').hidden = true;
  $('go').textContent = 'Join';
}
for (const problem of await api('/api/problems').catch(() => [])) {
  $('problem').append(new Option(`${problem.title} (${problem.difficulty})`, problem.id));
}
