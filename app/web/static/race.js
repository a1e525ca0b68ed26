/** The race page: a thin view over the shipped client. Here it starts, and here its parts meet. */
import { hideCard, isCardShown, showCard } from './card.js';
import { GameWebSocket, Rejected, VERSION } from './client.js';
import { $, isOff } from './dom.js';
import { code, focusEditor, setCode, startEditor } from './editor.js';
import { apiWords, isFinal, refusalWords, waitWords, wordsOf } from './ends.js';
import { holdFocus } from './focus.js';
import { askFresh, hideFresh, startFresh } from './fresh.js';
import { CHANGES, playerOf, testsPercent } from './game.js';
import { lobbyIsFor, startLobby } from './lobby.js';
import {
  api, becomeOwner, enterRace, forgetPlayer, isIn, keep, kept, knownName, leaveRace, ownerOf, player, renew, Told, writtenIn, yieldRace,
} from './session.js';
import { showConnection, showOver } from './status.js';
import { joined, showSubmissions, sizeOf, submissionsOf } from './submissions.js';
import { draw, notice, showClock, showProblem, showResult, verdict } from './view.js';

const WRITTEN_MS = 500;
const MAX_LINES = 1_000_000;
const LANGUAGE = 'python';
/** Anything else would make another path of the socket's. */
const GAME_ID = /^[\da-f-]+$/i;
const JUDGED_LATER = 'Being judged…';

/** `isPlaying`: this window is the one that plays; `isSending`: a submission is on its way; `leaving`: what takes a leave back. */
const race = {
  client: null, gameId: null, me: null, game: null, submissions: [], clockOffsetMs: 0, isPlaying: false, isSending: false, leaving: null,
};
let writtenTimer = null;

const me = () => playerOf(race.game, race.me);

function redraw() {
  if (race.game) draw({ ...race, isPending: race.isSending || me()?.judging, mayStay: mayStay() });
}

// ---------------------------------------------------------------- coming in

/** Come into a race, as the player of this tab. */
function join(gameId) {
  const { token, playerId, isGuest } = player();
  race.client?.disconnect();
  hideFresh();
  const client = new GameWebSocket(gameId, token, {
    pingIntervalMs: 5000, client: `code-racer-page/${VERSION}`, refreshToken: isGuest ? renew : pastedAfter(token),
  });
  Object.assign(race, { client, gameId, me: playerId, game: null, submissions: [] });
  const mine = (call) => (message) => { if (client === race.client) call(message); };
  client.on('state', mine(() => { showConnection(client); redraw(); })).on('pong', mine(() => showConnection(client)));
  client.on('retry', mine(waits)).on('end', mine(ended)).on('*', mine(hear));
  $('link').value = `${location.origin}/?game=${gameId}`;
  $('lobby').hidden = true;
  $('room').hidden = true;
  if (GAME_ID.test(gameId)) connect();
  else showCard(wordsOf({ reason: 'invalid_game_id' }), choose);
}

/** What a client asks for a fresh token of one's own: there is one where it was pasted since the one that the client has. */
function pastedAfter(token) {
  let last = token;
  return () => {
    const newest = player()?.token ?? last;
    if (newest !== last) return last = newest;
    if (race.client.state === 'open') return null; // the player is asked for it
    throw Object.assign(new Error('nobody has pasted a token'), { final: true });
  };
}

function connect() {
  hideCard();
  showCard({ title: 'Joining the race…', text: '', ways: ['back'] }, choose);
  race.client.connect();
}

function waits(retry) {
  showConnection(race.client, retry);
  const text = `${waitWords(retry.reason)} This page tries again by itself.`;
  if (isCardShown()) showCard({ title: 'Not in the race yet', text, ways: ['back'] }, choose);
}

/** This window plays, or only shows what there is. */
function play(isPlaying) {
  race.isPlaying = isPlaying;
  $('code').readOnly = !isPlaying;
  $('room').hidden = false;
  hideCard();
}

const starterOf = (problem) => `${problem.starter.trim()}\n`;

/** Show the problem, and in the editor what was written last. */
function pose(problem) {
  if (showProblem(problem) && !code()) setCode(kept().draft ?? starterOf(problem));
}

/**
 * Show what became of the submissions so far; of the newest, the code too where nothing else was written. `unseen`: there
 * may be so many that the page has heard nothing of, and that have cost no try.
 */
async function recall(unseen = 0) {
  const last = Math.max(kept().attempt ?? 0, me()?.attempts ?? 0) + unseen;
  const { gameId } = race;
  const found = await submissionsOf(gameId, last);
  if (gameId !== race.gameId) return;
  race.submissions = joined(race.submissions, found);
  showSubmissions(race.submissions);
  const latest = found.at(-1);
  if (!latest) return;
  const { attempt, verdict: word } = race.submissions.at(-1);
  if (!word) verdict(JUDGED_LATER);
  else if (attempt === latest.attempt && latest.verdict) showResult(latest); // else what was heard meanwhile is shown
  if (code() === starterOf(race.game.problem)) setCode(latest.code);
}

/** Hand in what was handed in before a reload: with the same id, by which the server knows it if it has arrived. */
function resume() {
  const { sending } = kept();
  if (sending?.id && !race.isSending && race.game.state === 'running' && !me().accepted) void send(sending.code, sending.id);
}

// ---------------------------------------------------------------- what the server tells

/** A message changes the game, is told to who has to do more about it, and then all is drawn. */
function hear({ type, data, seq }) {
  CHANGES[type]?.(race.game, data);
  HANDLERS[type]?.(data, seq);
  redraw();
}

const HANDLERS = Object.freeze({
  __proto__: null,
  welcome(data) {
    notice();
    race.clockOffsetMs = data.server_time - Date.now();
    if (!data.resumed) race.game = data.game;
    enterRace(race.gameId); // when it goes on too: a window that was replaced had given it up
    play(true);
    if (race.game.problem.statement) pose(race.game.problem);
    if (!data.resumed) void recall().then(resume);
    if (race.isSending) verdict(JUDGED_LATER);
  },
  game_started({ problem }) {
    pose(problem);
    redraw(); // a hidden editor takes no focus
    focusEditor();
  },
  code_submitted({ player_id: by, attempt }) {
    if (by !== race.me) return;
    race.isSending = false;
    keep({ attempt, sending: undefined });
  },
  submission_judged(data, seq) {
    if (data.player_id !== race.me) return;
    if (seq <= race.client.welcome.last_seq) void recall(); // it was while we were away: nobody tells us the tests
    else {
      race.submissions = joined(race.submissions, [data]);
      showSubmissions(race.submissions);
    }
  },
  game_finished: hideFresh,
  submission_result: showResult,
  token_expiring({ expires_at }) {
    const { isGuest, expiresAt } = player();
    if (isGuest || expires_at < Math.floor(expiresAt)) return; // the client renews it unasked: there is a fresher one
    const time = new Date(expires_at - race.clockOffsetMs).toLocaleTimeString();
    tellOfFresh(`Your token ends at ${time}. Paste a new one, and the race goes on.`);
  },
  error(data) {
    if (data.retry_after_ms != null) notice('The service needs a moment; what you did is sent again by itself.');
    else if (!data.id) notice(refusalWords(data.code, data.message)); // what has an id is told where it was asked
  },
});

// ---------------------------------------------------------------- the end, and the ways on

async function ended(end) {
  showConnection(race.client);
  if (writtenTimer !== null && end.reason !== 'replaced') written(); // in another window it is written by now
  race.isPlaying = false;
  if (end.reason === 'replaced') yieldRace();
  else if (isIn(race.gameId) && (race.game?.state === 'finished' || isFinal(end))) keep({ isOver: true });
  if (race.game?.state === 'finished') showOver();
  if (race.game?.state === 'finished' || (end.reason === 'game_over' && !await look())) return;
  $('code').readOnly = true;
  redraw();
  $('room').hidden = race.game?.state !== 'running'; // nobody waits for players here, but the code can be read
  hideCard();
  const words = wordsOf(end, player()?.isGuest ?? true);
  showCard({ ...words, written: $('room').hidden ? writtenIn(race.gameId) : '' }, choose);
  if (words.asksToken) askFresh('Paste a new token to go on.');
  else hideFresh();
}

/** Look at a race that is over; the words for why that cannot be, '' where it can. */
async function look() {
  const game = await api.game(race.gameId).catch((error) => error);
  if (game instanceof Error) return apiWords(game);
  if (game.state !== 'finished') return 'The race still runs. Its ranking is here once it is over: try again then.';
  race.game = game;
  enterRace(race.gameId);
  play(false);
  showOver();
  if (game.problem.statement) pose(game.problem);
  redraw();
  void recall();
  return '';
}

const CHOICES = Object.freeze({
  __proto__: null,
  again: connect,
  here() {
    const { draft } = kept();
    if (draft !== undefined) setCode(draft);
    connect();
  },
  join() {
    leaveRace();
    backToLobby();
  },
  async look() { notice(await look()); },
  back() { location.assign('/'); },
  home() { location.assign('/'); },
});

function choose(way) {
  notice();
  void CHOICES[way]();
}

function backToLobby() {
  $('name').value ||= knownName();
  forgetPlayer();
  hideCard();
  $('room').hidden = true;
  lobbyIsFor(race.gameId);
}

/** Say something beside the field for a fresh token, aloud too. */
function tellOfFresh(text) {
  $('told').textContent = text;
  askFresh(text);
}

/** Go on with a token that was pasted, on the connection or on another. The words for what is wrong with it, '' where nothing is. */
async function goOnWith(token) {
  try {
    const one = ownerOf(token);
    if (isIn(race.gameId) && one.playerId !== race.me) return `This token is for ${one.name}, and you are in this race as ${player().name}.`;
    if (race.client.state !== 'closed') return await goOnHere(token);
    await api.game(race.gameId, { token });
  } catch (error) {
    return error instanceof Told ? error.message : apiWords(error);
  }
  becomeOwner(token);
  join(race.gameId);
  return '';
}

/** Tell the server a token, as soon as there is a connection; from now on the client finds it, where it comes back by no other. */
async function goOnHere(token) {
  const before = player();
  const asked = $('fresh-text').textContent;
  becomeOwner(token);
  if (race.client.state !== 'open') tellOfFresh('It is kept, and told to the server as soon as the connection is back.');
  const { refused } = await ask('auth', { token });
  if (race.client.state === 'closed') return ''; // its end has words of its own
  if (refused) {
    becomeOwner(before.token);
    askFresh(asked);
    return refused;
  }
  if ($('fresh').contains(document.activeElement)) focusEditor(); // else the player is elsewhere by now
  hideFresh();
  keep({});
  $('told').textContent = 'The new token is taken.';
  return '';
}

// ---------------------------------------------------------------- what the player does

function onInput() {
  writtenTimer ??= setTimeout(written, WRITTEN_MS);
}

/** Something was written: keep it, tell the others how much it is, and say so in time where it is too much. */
function written() {
  clearTimeout(writtenTimer);
  writtenTimer = null;
  if (!race.isPlaying) return;
  const draft = code();
  keep({ draft });
  const lines = draft.split('\n').filter((line) => line.trim()).length;
  race.client.sendMessage('progress', { lines: Math.min(lines, MAX_LINES), percent: testsPercent(me()) });
  const refused = tooLong(draft);
  if (refused || $('verdict').dataset.about === 'length') verdict(refused, 'bad');
  $('verdict').dataset.about = refused ? 'length' : '';
}

/** What is to be said about code that the server would close the connection for; '' where it would not. */
function tooLong(text) {
  const most = race.client.welcome.limits.max_message_bytes;
  const size = sizeOf({ code: text, language: LANGUAGE });
  const kib = (bytes) => `${Math.ceil(bytes / 102.4) / 10} KiB`;
  return size > most ? `Too long: ${kib(size)} as it is sent, and the server takes ${kib(most)}. Shorten it to hand it in.` : '';
}

/** Sent again until it is answered, over reconnects too, and done once: `{ seq }`, or the words of a refusal, `{ refused }`. */
async function ask(type, data, options) {
  try {
    const seq = await race.client.request(type, data, options);
    notice();
    return { seq };
  } catch (error) {
    if (error instanceof Rejected) return { refused: refusalWords(error.code, error.message.slice(error.code.length + 2)) };
    return { refused: 'The connection ended before the server had confirmed it.' };
  }
}

async function submit() {
  if (isOff($('submit')) || !race.isPlaying) return;
  $('verdict').scrollIntoView({ block: 'nearest' }); // it may be below what is in view
  const draft = code();
  keep({ draft });
  const unfit = draft.trim() ? tooLong(draft) : 'There is nothing to hand in yet.';
  if (unfit) {
    verdict(unfit, 'bad');
    return;
  }
  await send(draft);
}

/** Hand in code; kept until it has arrived, so that a reload meanwhile hands it in too. */
async function send(draft, id = `${Math.random()}`) {
  race.isSending = true;
  keep({ sending: { code: draft, id } });
  verdict(race.client.state === 'open' ? JUDGED_LATER : 'Kept: it is handed in as soon as the connection is back.');
  redraw();
  const { refused, seq } = await ask('submit_code', { code: draft, language: LANGUAGE }, { id });
  const wasThere = race.isSending && seq <= race.client.welcome.last_seq; // its event is in the snapshot: nobody tells it
  if (!refused && !wasThere) return;
  race.isSending = false;
  if (race.isPlaying) keep({ sending: undefined });
  redraw();
  if (wasThere) await recall(1);
  else verdict(refused, 'bad');
}

async function toggleReady() {
  if (isOff($('ready'))) return;
  const { refused } = await ask('ready', { status: me()?.ready ? 'not_ready' : 'ready' });
  if (refused) notice(refused);
}

/** Whether a leave waits for the connection: it can be taken back. */
const mayStay = () => race.leaving !== null && race.client.state !== 'open';

/** Leave for good; until the server has confirmed it nothing is given up, and without a connection one may stay after all. */
async function leave() {
  if (mayStay()) race.leaving.abort();
  if (race.leaving) return;
  if (race.game?.state === 'running' && !confirm('Leave this race? You cannot come back into it.')) return;
  race.leaving = new AbortController();
  const { signal } = race.leaving;
  redraw();
  const { refused } = await ask('leave', {}, { signal });
  race.leaving = null;
  redraw();
  if (refused && !signal.aborted && race.client.state !== 'closed') notice(refused); // else its end has words of its own
  if (refused) return;
  race.isPlaying = false;
  race.client = null; // what it tells of its end is nothing new
  leaveRace();
  location.assign('/');
}

async function copyLink() {
  const isCopied = await navigator.clipboard?.writeText($('link').value).then(() => true, () => false);
  $('link').select(); // without TLS there is the old way alone, and it takes what is selected
  $('copied').textContent = isCopied || document.execCommand('copy') ? 'Copied.' : 'It is selected: copy it from there.';
}

// ---------------------------------------------------------------- start

$('ready').addEventListener('click', toggleReady);
$('leave').addEventListener('click', leave);
$('copy').addEventListener('click', copyLink);
$('submit').addEventListener('click', submit);
addEventListener('pagehide', written);
startFresh(goOnWith);
startEditor({ onInput, onSubmit: submit });
holdFocus();
setInterval(() => { if (race.game) showClock(race.game, Date.now() + race.clockOffsetMs); }, 200);
startLobby(join);
