/**
 * Who plays in this tab, and what is kept of each race.
 *
 * The tab's player and race are kept for the tab: a reload comes back by itself. A race is kept for the browser too, by
 * game and player, with the draft, and the token where it is a guest's, which is good for nothing else: another tab can
 * take over. A token of one's own goes with its tab, and is told to another tab that asks for it. Where the browser keeps
 * nothing, the page works until it is left.
 */
import { Api, Refused } from './http.js';

const TAB = 'code-racer.tab';
const SHOWN = 'code-racer.shown';
const RACE = 'code-racer.race.';
const MAX_RACES = 8;
/** The longest race, its waiting for players and then some: with less left, a token is renewed before it is used. */
const LEAST_LEFT_MS = 3 * 3_600_000;
const RENEWALS = 5;
const RENEWAL_WAIT_MS = 1_000;
/** A window that is there answers at once, but for one that the browser lets rest. */
const ANSWER_MS = 1_000;

const tab = read('sessionStorage', TAB) ?? { player: null, gameId: null };

/** The service, asked by who plays in this tab. */
export const api = new Api(undefined, { token: tab.player?.token });

/** An error whose message is for the player. */
export class Told extends Error {}

// ---------------------------------------------------------------- storage that may fail

/** What is kept under a key; null where there is nothing, or no storage. */
function read(storage, key) {
  try {
    return JSON.parse(globalThis[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    globalThis[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function remove(storage, key) {
  try {
    globalThis[storage].removeItem(key);
  } catch {
    // nothing is kept
  }
}

/** The races that this browser keeps, the newest first. */
function races() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(RACE));
    const found = keys.map((key) => ({ key, gameId: key.slice(RACE.length).split('.')[0], ...read('localStorage', key) }));
    return found.sort((one, other) => (other.at ?? 0) - (one.at ?? 0));
  } catch {
    return [];
  }
}

/**
 * A copy of a tab begins with what the tab keeps: that it is shown, too, which a tab that is reloaded is no more. A copy
 * is asked before it takes over the race. One that was hidden counts as left, as phones throw such away unasked.
 */
function noteShown(isShown) { write('sessionStorage', SHOWN, isShown && document.visibilityState === 'visible'); }

if (read('sessionStorage', SHOWN)) Object.assign(tab, { gameId: null, player: tab.player?.isGuest ? null : tab.player });
noteShown(true);
addEventListener('pageshow', () => noteShown(true)); // it may be an old one that comes back whole
addEventListener('visibilitychange', () => noteShown(true));
addEventListener('pagehide', () => noteShown(false));

const keyOf = (gameId, playerId) => `${RACE}${gameId}.${playerId}`;
const rememberTab = () => write('sessionStorage', TAB, tab);

// ---------------------------------------------------------------- the player

/** Who plays in this tab: `{ token, playerId, name, expiresAt, isGuest }`; null where that is not known. */
export const player = () => tab.player;

/** Who plays in this tab by a token of their own that is still good; null where nobody does. */
export const owner = () => (tab.player && !tab.player.isGuest && tab.player.expiresAt > Date.now() ? tab.player : null);

/** The name used last. */
export const knownName = () => tab.player?.name ?? races()[0]?.player?.name ?? '';

function become(one) {
  tab.player = one;
  api.token = one?.token;
  rememberTab();
  return one;
}

const guestOf = (answer) => ({
  token: answer.token, playerId: answer.player_id, name: answer.name, expiresAt: Date.parse(answer.expires_at), isGuest: true,
});

/** Play as a guest of this name: the one of this tab, or a new one. Raises what a call of the API does. */
export async function becomeGuest(name) {
  const known = tab.player;
  if (known?.isGuest && known.name === name) {
    if (known.expiresAt > Date.now() + LEAST_LEFT_MS) return known;
    const renewed = await api.guest(undefined, { token: known.token }).catch(() => null); // too old, or of a server before
    if (renewed) return become(guestOf(renewed));
  }
  return become(guestOf(await api.guest(name, { token: '' })));
}

/** Play with a token of one's own; the server verifies it. Raises Told where it is none. */
export function becomeOwner(token) { return become(ownerOf(token)); }

/** Who a token of one's own is for, by what stands in it, a JSON Web Token. Raises Told where it is none. */
export function ownerOf(token) {
  try {
    const bytes = atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))));
    if (typeof claims.sub !== 'string' || !/^[\w.-]+$/.test(token)) throw new Error('no player');
    return { token, playerId: claims.sub, name: String(claims.name ?? claims.sub), expiresAt: claims.exp * 1000, isGuest: false };
  } catch {
    throw new Told('That is no token. A token is one long word with two dots in it.');
  }
}

/** Play on as who is kept for a race, by a token that another window has where none is kept. Raises Told where none has. */
export async function becomeKept({ player: one }) {
  if (one.token) return become(one);
  const token = await tokenElsewhere(one.playerId);
  if (!token) throw new Told(`No other window has your token any more. Paste it to go on as ${one.name}.`);
  return becomeOwner(token);
}

export function forgetPlayer() { become(null); }

// Windows of this browser ask each other for the token of a player, and no storage has it.
const windows = channel();
windows?.addEventListener('message', ({ data: { wanted } }) => {
  const own = owner();
  if (own && own.playerId === wanted) windows.postMessage({ playerId: wanted, token: own.token });
});

/** Null where the browser, which keeps nothing, has none either. */
function channel() {
  try {
    return new BroadcastChannel('code-racer');
  } catch {
    return null;
  }
}

/** The token of one's own that another window has for a player; undefined where none answers. */
function tokenElsewhere(playerId) {
  if (windows === null) return Promise.resolve();
  return new Promise((resolve) => {
    const hear = ({ data }) => { if (data.playerId === playerId) settle(data.token); };
    const settle = (token) => {
      windows.removeEventListener('message', hear);
      clearTimeout(late);
      resolve(token);
    };
    const late = setTimeout(settle, ANSWER_MS);
    windows.addEventListener('message', hear);
    windows.postMessage({ wanted: playerId });
  });
}

/** A fresh token of the same guest; it is asked for again where that may help. Raises an error, `final` where not. */
export async function renew() {
  for (let tried = 1; ; tried += 1) {
    try {
      const one = become(guestOf(await api.guest()));
      if (tab.gameId) keep({ player: one });
      return one.token;
    } catch (error) {
      error.final = error instanceof Refused && error.reason !== '' && [401, 403, 404].includes(error.status);
      if (error.final || tried >= RENEWALS) throw error;
      await new Promise((resolve) => { setTimeout(resolve, RENEWAL_WAIT_MS * 2 ** tried); });
    }
  }
}

// ---------------------------------------------------------------- the race

/** Whether this tab is in a race already: it was reloaded. */
export const isIn = (gameId) => tab.gameId === gameId && tab.player !== null;

/**
 * The race of another tab, or an earlier one, that can be gone on with: `{ gameId, player }`; null where there is none.
 * Whoever has a token of their own is nobody else. Without a `token` the player has to be asked for it.
 */
export function keptRace(gameId) {
  const own = owner();
  const found = races().find((race) => race.gameId === gameId && race.player && (!own || race.player.playerId === own.playerId));
  return found && !(own && found.isOver) ? { gameId, player: own ?? found.player } : null;
}

/** The race that this tab was in, or else the last of this browser, where nobody has seen its end; null where there is none. */
export function lastRace() {
  if (tab.player && tab.gameId) return kept().isOver ? null : { gameId: tab.gameId, player: tab.player };
  const last = tab.player?.isGuest ?? true ? races()[0] : null; // whoever has a token of their own is nobody else here
  return last?.player?.token && last.player.expiresAt > Date.now() && !last.isOver ? last : null;
}

/** This tab is in a race from now on; of the races before, the newest are kept. */
export function enterRace(gameId) {
  tab.gameId = gameId;
  rememberTab();
  keep({});
  for (const { key } of races().slice(MAX_RACES)) remove('localStorage', key);
}

/** Another window plays this tab's race: a reload of this one asks before it takes the race back. */
export function yieldRace() { write('sessionStorage', TAB, { ...tab, gameId: null }); }

/** This tab is in no race any more. What is kept of it is nobody's then, but for what was written. */
export function leaveRace() {
  tab.left = { gameId: tab.gameId, draft: writtenIn(tab.gameId) };
  if (tab.player && tab.gameId) remove('localStorage', keyOf(tab.gameId, tab.player.playerId));
  tab.gameId = null;
  rememberTab();
}

/** What was written in a race by who plays in this tab, or did before; undefined where nothing was. */
export function writtenIn(gameId) {
  if (isIn(gameId)) return kept().draft;
  return tab.left?.gameId === gameId ? tab.left.draft : undefined;
}

/** What is kept of the race of this tab: `{ draft, attempt, isOver }`. */
export const kept = () => read('localStorage', keyOf(tab.gameId, tab.player.playerId)) ?? {};

/** Keep more of the race of this tab; where there is no room, the others go. */
export function keep(more) {
  const key = keyOf(tab.gameId, tab.player.playerId);
  const { token, ...others } = tab.player;
  const race = { ...kept(), player: tab.player.isGuest ? { token, ...others } : others, ...more, at: Date.now() };
  if (write('localStorage', key, race)) return;
  for (const one of races()) if (one.key !== key) remove('localStorage', one.key);
  write('localStorage', key, race);
}
