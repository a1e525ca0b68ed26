/**
 * The HTTP side of a service: what a player asks for before there is a connection, and what of a race can be read after it.
 *
 * Its types are in http.d.ts. A call that is refused rejects with `Refused`; one that nobody answers, with what `fetch`
 * says of it; one that takes too long, with a TimeoutError. Redirects are not followed: the token is for this service.
 */

/** A JSON Web Token has no other characters; who makes a header of one with others is told so, with the token in the words. */
const TOKEN = /^[\w.-]+$/;

/** An answer that is none of those wanted: its `status`, and where it is the service's own, `reason`, a closed word. */
export class Refused extends Error {
  name = 'Refused';

  constructor(status, reason, detail, retryAfterMs = null) {
    super(`refused with ${status}: ${detail}`);
    Object.assign(this, { status, reason, detail, retryAfterMs });
  }
}

/** The service at `url`, the page's own by default. */
export class Api {
  constructor(url, { token, timeoutMs = 30_000 } = {}) {
    this.url = (url ?? globalThis.location?.origin ?? '').replace(/\/$/, '');
    this.timeoutMs = timeoutMs;
    this.token = token;
  }

  /** Where the sockets are: the option `url` of a GameWebSocket. */
  get wsUrl() { return this.url.replace(/^http/, 'ws'); }

  /** A guest's token, with `player_id` and `expires_at`; with the token of a guest, a fresh one of the same. */
  guest(name, options) { return this.#ask('POST', 'token', '/api/guests', { ...options, body: { name } }); }

  /** A ticket to connect with once, within seconds. */
  ticket(options) { return this.#ask('POST', 'ticket', '/api/tickets', options); }

  /** A new game; `wishes` are `problem`, `min_players`, `max_players`, `time_limit_s` and `finish`, each as wanted. */
  createGame(wishes = {}, options = {}) { return this.#ask('POST', 'game_id', '/api/games', { ...options, body: wishes }); }

  /** The public state of a game. */
  async game(gameId, options) { return this.#ask('GET', 'game_id', pathOf(gameId), options); }

  /** An own submission: code, verdict, visible tests. */
  async submission(gameId, attempt, options) {
    return this.#ask('GET', 'attempt', `${pathOf(gameId)}/submissions/${Number(attempt)}`, options);
  }

  /** All problems, without their tests. */
  problems(options) { return this.#ask('GET', 'length', '/api/problems', options); }

  async #ask(method, wanted, path, { body, signal, timeoutMs = this.timeoutMs, token = this.token } = {}) {
    if (token && !TOKEN.test(token)) throw new Refused(401, 'unauthorized', 'the token has a character that no token has');
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', abort);
    const timer = setTimeout(() => controller.abort(new DOMException(`no answer of ${path} in time`, 'TimeoutError')), timeoutMs);
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) };
    try {
      const answer = await fetch(this.url + path, {
        method, headers, body: body && JSON.stringify(body), cache: 'no-store', redirect: 'manual', signal: controller.signal,
      });
      const document = await answer.json().catch(() => null);
      controller.signal.throwIfAborted();
      return read(answer, document ?? {}, wanted);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }
}

/** The path of a game; throws where that would be another one's, as URLs leave out dots. */
function pathOf(gameId) {
  if (/^\.{0,2}$/.test(gameId)) throw new Error('gameId is no part of a path');
  return `/api/games/${encodeURIComponent(gameId)}`;
}

/** The document of an answer, which has something under the name `wanted`; throws `Refused` where it has not. */
function read(answer, document, wanted) {
  if (answer.ok && document[wanted] !== undefined) return document;
  const isOurs = typeof document.reason === 'string' && document.status === answer.status
    && /problem\+json/.test(answer.headers.get('content-type')); // a gateway may say such a word in a JSON of its own
  const { reason = '', detail = answer.ok ? 'that is no answer of Code Racer' : answer.statusText || answer.type, retry_after_ms = null } = document;
  throw new Refused(answer.status, isOurs ? reason : '', String(detail), isOurs ? retry_after_ms : null);
}
