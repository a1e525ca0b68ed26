/** What is said where a race cannot be played, not any more or not yet, and what can be done then. */
import { Refused } from './http.js';

/** Buttons, by the names of the ways on. */
export const WAYS = Object.freeze({
  here: 'Play here', again: 'Try again', join: 'Join as a new player', look: 'Look at the ranking', home: 'Start another race', back: 'Back',
});

/** By the word that a refusal or a close has as its reason: a title, what it means, the ways on. */
export const ENDS = Object.freeze({
  __proto__: null,
  invalid_game_id: ['This link is not whole', 'A part of it got lost on the way. Ask for the link once more.', ['home']],
  no_such_game: ['There is no such race', 'It was removed a while after its end, or nobody came in time; or the link is wrong.', ['home']],
  game_full: ['This race is full', 'All its places are taken. If somebody leaves before it starts, there is room.', ['again', 'home']],
  game_running: ['This race has begun without you', 'Nobody can join any more. Its ranking can be looked at once it is over.', ['look', 'home']],
  game_over: ['This race is over', 'It cannot be joined any more.', ['look', 'home']],
  left: ['You have left this race', 'That is final. Its ranking can be looked at once it is over.', ['look', 'home']],
  forbidden: ['You were removed from this race', 'Whoever made it, or runs this server, has decided so.', ['home']],
  replaced: ['You play this race in another window', 'It went on there when that window joined. What you wrote comes along.', ['here', 'home']],
  unauthorized: ['The server does not know you any more', 'Your pass for this race has run out, or the server has new keys.', ['join', 'home']],
  token_expired: ['Your pass for this race has run out', 'The server could not give you a fresh one in time.', ['join', 'home']],
  auth_failed: ['The server does not know you any more', 'Your pass for this race has run out, or the server has new keys.', ['join', 'home']],
  message_too_big: ['Something was too long for the server', 'It has closed the connection. What you wrote is still here: shorten it.', ['again', 'home']],
  protocol_error: ['The server did not understand this page', 'It may be an old one: reload it. What you wrote is kept.', ['again', 'home']],
  origin_refused: ['This server does not race on this site', 'It takes players from other addresses than that of this page. Whoever runs the server can add it.', ['home']],
  bad_request: ['The server did not understand this page', 'It may be an old one: reload it. What you wrote is kept.', ['again', 'home']],
  no_such_path: ['No races here', 'What answers at this address is not the race server, or only a part of it.', ['again']],
  normal: ['The connection is closed', 'You are not in this race at the moment.', ['again', 'home']],
});
const OWN_TOKEN_ENDED = ['Your token has run out', 'What you wrote is kept. Get a fresh one from whoever gave it to you, paste it below, and you are back in the race.', ['home']];
const OWN_TOKEN_REFUSED = ['Your token is not taken', 'It has run out, or was made for another server. Get a fresh one from whoever gave it to you, and paste it below.', ['home']];
const ANY_END = ['The connection has ended', 'The server gave no reason that this page knows. What you wrote is kept.', ['again', 'home']];
const TOKEN_ENDS = ['unauthorized', 'token_expired', 'auth_failed'];

/** The words of an end, for a guest or somebody with a token of their own; whether a fresh token is the way on. */
export function wordsOf({ reason }, isGuest) {
  const asksToken = TOKEN_ENDS.includes(reason) && !isGuest;
  const ofToken = reason === 'token_expired' ? OWN_TOKEN_ENDED : OWN_TOKEN_REFUSED;
  const [title, text, ways] = asksToken ? ofToken : ENDS[reason] ?? ANY_END;
  return { title, text, ways, asksToken };
}

/** Whether an end leaves nothing to go on with: at most a ranking to look at. */
export const isFinal = ({ reason }) => ENDS[reason]?.[2].every((way) => way === 'home' || way === 'look') ?? false;

const WAITS = Object.freeze({
  __proto__: null,
  token_expired: 'Your pass for this race has run out.',
  rate_limited: 'There are too many connections from you or your network just now.',
  draining: 'The server is restarting.',
  overloaded: 'The server has more to do than it can.',
  unavailable: 'The server has lost something that it needs.',
  internal_error: 'The server has a fault.',
});

/** Why it takes longer, where the next try comes by itself. */
export const waitWords = (reason) => WAITS[reason] ?? (navigator.onLine ? 'The server cannot be reached.' : 'This device is offline.');

const REFUSALS = Object.freeze({
  __proto__: null,
  invalid_json: 'The server did not understand this; reload the page, what you wrote is kept.',
  invalid_data: 'The server did not understand this; reload the page, what you wrote is kept.',
  unknown_type: 'The server did not understand this; reload the page, what you wrote is kept.',
  internal: 'The server has a fault; try again.',
  unavailable: 'The server cannot keep anything just now; try again.',
});

/** The server's own words, without the names of its settings; none where they are for who writes programs. */
function sentence(text) {
  const plain = text?.replace(/ \([A-Z_]+\)|; see [^;]*$|\.$/g, '');
  return plain && !/_|[A-Z]{3}|`/.test(plain) ? `${plain[0].toUpperCase()}${plain.slice(1)}.` : 'The server has refused this.';
}

const tokenWords = (detail) => `The server does not take this token. ${sentence(detail?.replace(/^Authentication required: /, ''))}`;

/** The words for what the server refuses while the race goes on; what the rules say is said in their words. */
export const refusalWords = (code, message) => (code === 'auth_failed' ? tokenWords(message) : REFUSALS[code] ?? sentence(message));

/** The words for what a call of the API has failed with. */
export function apiWords(error) {
  const { reason, detail, retryAfterMs } = error;
  if (!(error instanceof Refused)) return 'The server cannot be reached. Try again in a moment.';
  if (reason === 'rate_limited') return `${sentence(detail)} Try again in ${Math.ceil((retryAfterMs ?? 1000) / 1000)} s.`;
  if (reason === 'origin_refused') return ENDS.origin_refused.slice(0, 2).join('. ');
  if (reason === 'unauthorized') return tokenWords(detail);
  if (reason === 'unavailable' || reason === '') return 'The server cannot do this just now. Try again in a moment.';
  return sentence(detail);
}
