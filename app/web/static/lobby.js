/** The lobby: who plays, and the wishes for a new game. */
import { $ } from './dom.js';
import { apiWords } from './ends.js';
import { Told, api, becomeGuest, becomeKept, becomeOwner, isIn, keptRace, knownName, lastRace, owner } from './session.js';
import { notice } from './view.js';

let gameId = null;
let offered = null;
let join = null;

/** Show the lobby, or go on with the race that this tab is in; `enter(gameId)` is called with a race to be joined. */
export function startLobby(enter) {
  join = enter;
  $('enter').addEventListener('submit', onEnter);
  $('go-on').addEventListener('click', goOn);
  addEventListener('hashchange', () => { if (takeToken()) begin(true); });
  begin(takeToken());
  void listProblems();
}

function begin(hasToken) {
  const asked = new URLSearchParams(location.search).get('game') || null;
  if (asked !== null && (isIn(asked) || (hasToken && !keptRace(asked)))) join(asked);
  else lobbyIsFor(asked);
}

/** Show the lobby, for a new game or one to be joined; what is asked for is a `name` or a `token`. */
export function lobbyIsFor(game, asks = 'name') {
  gameId = game;
  const known = game !== null && asks === 'name' ? keptRace(game) : null;
  const own = known || asks === 'token' ? null : owner();
  $('own').hidden = !own;
  $('own').textContent = own ? `You race as ${own.name}, by your own token.` : '';
  ask('name', !own && asks === 'name');
  ask('token', asks === 'token');
  if (!known) $('name').value ||= knownName(); // somebody else has another name
  offer(known, `You are in this race as ${known?.player.name}, perhaps in another window.`, `Play here as ${known?.player.name}`);
  $('lobby-title').textContent = game === null ? 'Race somebody' : 'Join the race';
  $('new-game').hidden = $('new-game').disabled = game !== null;
  $('go').textContent = game === null ? 'Create a game' : known ? 'Join as somebody else' : 'Join';
  $('lobby').hidden = false;
  if (known) $('go-on').focus();
  if (game === null) void offerWayBack();
}

/** Offer a race with somebody who is known in it, or none. */
function offer(race, text, way) {
  offered = race;
  $('known').hidden = !race;
  $('known-text').textContent = race ? text : '';
  $('go-on').textContent = race ? way : '';
}

/** Offer the race that was left by a link, where it still goes on. */
async function offerWayBack() {
  const last = lastRace();
  const game = last && await api.game(last.gameId, { token: last.player.token }).catch(() => null);
  const isThere = game?.players.some((one) => one.player_id === last.player.playerId);
  if (isThere && game.state !== 'finished' && gameId === null) offer(last, `You are in a race as ${last.player.name}.`, 'Back to the race');
}

async function goOn() {
  notice();
  const { gameId: game } = offered;
  try {
    await becomeKept(offered);
  } catch (error) {
    askToken();
    notice(wordsFor(error));
    return;
  }
  history.replaceState(null, '', `/?game=${game}`);
  join(game);
}

function askToken() {
  lobbyIsFor(gameId, 'token');
  $('token').focus();
}

function ask(field, isAsked) {
  $(`${field}-field`).hidden = !isAsked;
  $(field).required = isAsked;
}

/** The words for what has gone wrong here. */
const wordsFor = (error) => (error instanceof Told ? error.message : apiWords(error));

/** A token in the fragment of the address, which no server is sent; it stays there no longer than it takes to read. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return false;
  history.replaceState(null, '', location.pathname + location.search);
  try {
    becomeOwner(token);
    return true;
  } catch (error) {
    notice(error.message);
    return false;
  }
}

async function onEnter(event) {
  event.preventDefault();
  notice();
  $('go').disabled = true;
  try {
    await identify();
    gameId ??= await newGame();
    join(gameId);
  } catch (error) {
    notice(wordsFor(error));
  } finally {
    $('go').disabled = false;
  }
}

/** Be somebody. Raises Told, or what a call of the API does. */
async function identify() {
  if (!$('token-field').hidden) {
    becomeOwner($('token').value.trim());
    $('token').value = '';
    return;
  }
  if (!$('own').hidden) return;
  const name = $('name').value.trim();
  if (!name) throw new Told('Give yourself a name.');
  try {
    await becomeGuest(name);
  } catch (error) {
    if (error.status !== 404 || error.reason !== 'not_found') throw error;
    askToken();
    throw new Told('This server takes no guests: paste the token that whoever runs it has given you. A link to this page may bring it too, as #token=… at its end.');
  }
}

async function newGame() {
  const wish = {
    min_players: Number($('min-players').value), max_players: Math.max(8, Number($('min-players').value)),
    time_limit_s: Math.round(Number($('minutes').value) * 60), finish: $('finish').value,
  };
  if ($('problem').value) wish.problem = $('problem').value;
  const { game_id: made } = await api.createGame(wish);
  history.replaceState(null, '', `/?game=${made}`);
  return made;
}

async function listProblems() {
  for (const problem of await api.problems().catch(() => [])) {
    $('problem').append(new Option(`${problem.title} (${problem.difficulty})`, problem.id));
  }
}
