/**
 * Code Racer client: one game over one WebSocket, across reconnects.
 *
 * One ES module without dependencies, for browsers and Node 18 or newer; its types are in client.d.ts, its states and
 * who may call what when in docs/clients.md. In a browser the token travels in the subprotocol, so that it stands in no
 * URL and no access log. Node below 22 has no WebSocket of its own: pass one,
 * `new GameWebSocket(id, token, { WebSocket: (await import('ws')).default, url: 'ws://…' })`.
 *
 * Durable events carry `seq`: after a cut the client reconnects with `last_seq`, hands on each event once and
 * in order, and reconnects when it notices a gap.
 *
 * Handlers are called in microtasks of their own (`_tell`): all is settled before any is called, nothing of the client
 * comes after it in the same turn, and so they may throw, or call whatever they like.
 */

const SUBPROTOCOL = 'code-racer.v1';
const MAX_DELAY_MS = 30_000;
const MAX_BATCH = 50;
const MAX_QUEUED = 1_000;
const OPEN = 1;

// generated: version and close table
/** The version of this client, which is the server's it came with. */
export const VERSION = '0.1.0';
/** Close codes after which no reconnect helps (without a new token); from the server's close table. */
export const FINAL_CLOSE_CODES = Object.freeze([1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4404, 4409, 4411, 4412]);
/** Reasons of refusals after which no other try helps; from the server's table of refusals. */
export const FINAL_REASONS = Object.freeze(['invalid_game_id', 'bad_request', 'unauthorized', 'origin_refused', 'forbidden', 'no_such_path', 'no_such_game', 'game_full', 'game_running', 'game_over', 'left']);
// end of generated

const LOST = 1006;
const GAP = 4000;
const TOKEN_EXPIRED = 4401;
const UNAUTHORIZED = 'unauthorized';
const CREATED = 201;
/** A JSON Web Token has no other characters; a subprotocol takes few others. */
const TOKEN = /^[\w.-]+$/;
/** Nobody of ours asks for a longer wait; what a timer takes for none at all is far above. */
const MAX_ADVICE_MS = 600_000;
/** An hour: the race is over by then, or forgotten. */
const GIVE_UP_AFTER_MS = 3_600_000;
/** How often the clock is looked at: where it went on without us for three times that, the machine has slept. */
const WATCH_MS = 5_000;

/**
 * Milliseconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s.
 * Full jitter: after a deploy, clients do not come back in step.
 */
export function fullJitter(attempt) {
  return Math.random() * Math.min(1000 * 2 ** attempt, MAX_DELAY_MS);
}

/** A wait that the server asks for; null where there is none to be read, or one that nobody of ours asks for. */
function asked(ms) {
  return typeof ms === 'number' && ms > 0 && ms <= MAX_ADVICE_MS ? ms : null;
}

/** What all who are refused are asked for alike: never less, and up to half as much more. */
function spread(ms) {
  return ms === null ? null : ms * (1 + Math.random() / 2);
}

/** What a client counts of its connections; several may share one. */
export class WebSocketMetrics {
  constructor() {
    this.connectionCount = 0;
    this.messageCount = 0;
    this.errorCount = 0;
    this.reconnectCount = 0;
    this.resumeCount = 0;
    this.rttMs = null;
  }

  recordConnection() { this.connectionCount += 1; }

  recordMessage() { this.messageCount += 1; }

  recordError() { this.errorCount += 1; }

  recordReconnect() { this.reconnectCount += 1; }

  recordResume() { this.resumeCount += 1; }

  recordRtt(rttMs) { this.rttMs = rttMs; }

  getMetrics() { return { ...this }; }
}

/** Bounds of what `hello` may tell. */
const MAX_HELLO_COUNT = 1_000;
const MAX_HELLO_MS = 600_000;
const MAX_OUTAGE_MS = 86_400_000;

/** What a player meets on the way into a game, measured where the player is: sent in `hello`, once a connection. */
class Arrival {
  constructor() {
    this._openMs = 0;
    this.begin();
  }

  /** The player wants to come: nothing from before counts. */
  begin() {
    this._since = this._tried = performance.now();
    this._failedAttempts = this._joins = 0;
    this._isIn = false;
  }

  /** Whether the player was in before. */
  get isReturn() { return this._joins > 0; }

  /** Milliseconds since the player wanted to come, or was lost. */
  get waitedMs() { return performance.now() - this._since; }

  tried() { this._tried = performance.now(); }

  opened() { this._openMs = performance.now() - this._tried; }

  /** The connection is lost, or the attempt came to nothing. */
  ended() {
    if (this._isIn) this._since = performance.now();
    else this._failedAttempts += 1;
    this._isIn = false;
  }

  /** The snapshot is there, or what is sent instead of one; the data of `hello`. */
  joined() {
    const { waitedMs } = this;
    const data = {
      reconnects: Math.min(this._joins, MAX_HELLO_COUNT),
      failed_attempts: Math.min(this._failedAttempts, MAX_HELLO_COUNT),
      open_ms: Math.min(this._openMs, MAX_HELLO_MS),
    };
    if (this.isReturn) data.outage_ms = Math.min(waitedMs, MAX_OUTAGE_MS);
    else data.join_ms = Math.min(waitedMs, MAX_HELLO_MS);
    this._joins += 1;
    this._failedAttempts = 0;
    this._isIn = true;
    return data;
  }
}

/** The server answered a request with an error: `code`, and when to try again if that helps. */
export class Rejected extends Error {
  constructor(code, message, retryAfterMs = null) {
    super(`${code}: ${message}`);
    this.name = 'Rejected';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A player's connection to a game. Subclass and override `handleMessage`, or register handlers with `on`. */
export class GameWebSocket {
  /**
   * @param {string} gameId
   * @param {string} token JSON Web Token; never shown in an error or a log line
   * @param {import('./client.js').GameWebSocketOptions} [options] see client.d.ts
   */
  constructor(gameId, token, options = {}) {
    this.gameId = gameId;
    this.ws = null;
    this.state = 'idle';
    this.lastSeq = options.lastSeq ?? null;
    this.welcome = null;
    this.metrics = options.metrics ?? new WebSocketMetrics();
    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = options.maxReconnectAttempts ?? null;
    this._giveUpAfterMs = options.giveUpAfterMs ?? GIVE_UP_AFTER_MS;
    this._pingIntervalMs = options.pingIntervalMs ?? 30_000;
    this._pongTimeoutMs = options.pongTimeoutMs ?? 10_000;
    this._openTimeoutMs = options.openTimeoutMs ?? 10_000;
    this._auth = options.auth ?? 'subprotocol';
    this._refreshToken = options.refreshToken ?? null;
    this._client = options.client ?? `code-racer-javascript/${VERSION}`;
    this._url = (options.url ?? globalThis.location?.origin.replace(/^http/, 'ws') ?? '').replace(/\/$/, '');
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this._arrival = new Arrival();
    this._handlers = new Map();
    this._requests = new Map();
    this._timers = {};
    this._attempt = 0;
    this._visit = 0;
    this._handedSeq = this.lastSeq;
    this._cut = null;
    this._tokenEnd = null;
    this._onSign = (event) => this._heed(event.type);
    this._resetEnd();
    Object.defineProperty(this, '_token', { value: token, enumerable: false, writable: true });
    if (!this._url) throw new Error('GameWebSocket: pass options.url, there is no page to take it from');
    if (!this._WebSocket) throw new Error('GameWebSocket: pass options.WebSocket, this platform has none');
    this._urlOf(''); // throws where it is no URL
  }

  /** Milliseconds of the round trip measured last; null before the first. */
  get rttMs() { return this.metrics.rttMs; }

  /** As of the WebSocket: 1 while a message could be sent. */
  get readyState() { return this.ws?.readyState ?? 3; }

  /**
   * Connect; from then on the connection keeps itself up until `disconnect` or a final answer. While it waits to try
   * again, it tries at once; after an end it starts afresh.
   */
  connect() {
    if (this.state === 'waiting') void this._try();
    if (this.state !== 'idle' && this.state !== 'closed') return;
    this.reconnectAttempts = 0;
    this._freshTokenRefused = false;
    this._handedSeq = this.lastSeq;
    this._resetEnd();
    this._arrival.begin();
    this._watch();
    void this._try();
  }

  /** Close with 1000 and come back no more. What no handler has seen yet is asked for again by the next `connect`. */
  disconnect() {
    this._close('disconnected', 1000, 'User requested');
    this._visit += 1;
    this.lastSeq = this._handedSeq;
  }

  /** Send one message, now; false where the connection is down. */
  sendMessage(type, data, id) { return this._send(JSON.stringify({ type, data, id })); }

  /**
   * Send one message and wait for its `ack`: the seq of the event it caused, or null. Across reconnects, and where
   * the server asks for it, it is sent again with the same id, and applied once. Rejects with `Rejected`, with the
   * reason of `signal` or a TimeoutError, or with an Error where the connection ends for good before.
   */
  request(type, data, { timeoutMs, signal } = {}) {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') throw new Error('WebSocket not connected');
      signal?.throwIfAborted();
      const id = globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      const one = { text: JSON.stringify({ type, data, id }) };
      one.settle = (how, value) => {
        this._requests.delete(id);
        clearTimeout(one.again);
        clearTimeout(one.late);
        signal?.removeEventListener('abort', one.abort);
        how(value);
      };
      one.resolve = (seq) => one.settle(resolve, seq);
      one.reject = (error) => one.settle(reject, error);
      one.abort = () => one.reject(signal.reason);
      signal?.addEventListener('abort', one.abort);
      if (timeoutMs) one.late = setTimeout(() => one.reject(new DOMException(`no answer to ${type} in time`, 'TimeoutError')), timeoutMs);
      this._requests.set(id, one);
      if (this.state === 'open') this._send(one.text);
    });
  }

  /**
   * Call `handler(message)` with every message of a type, `'*'` for all. Of the client's own:
   * `'state'` with `{ state }`, `'end'` with `{ code, reason, detail }` when it is over for good,
   * `'retry'` with `{ delayMs, attempt }`, `'fault'` with `{ error, type }` when a handler has thrown, or `refreshToken`.
   */
  on(type, handler) {
    this._handlers.set(type, [...(this._handlers.get(type) ?? []), handler]);
    return this;
  }

  /** As `on`, for the next message alone. */
  once(type, handler) {
    const one = (message) => {
      this.off(type, one);
      return handler(message);
    };
    one.handler = handler;
    return this.on(type, one);
  }

  /** Call `handler` no more. */
  off(type, handler) {
    const others = (this._handlers.get(type) ?? []).filter((one) => one !== handler && one.handler !== handler);
    this._handlers.set(type, others);
    return this;
  }

  /** Hand a message to the registered handlers; override to do something else. */
  handleMessage(message) {
    this._emit(message.type, message);
    this._emit('*', message, message.type);
  }

  // ---------------------------------------------------------------- the connection

  /** Make one attempt; whatever there was before it stops. */
  async _try() {
    const attempt = this._stop();
    this._become(this._arrival.isReturn ? 'reconnecting' : 'connecting');
    this._arrival.tried();
    await null; // connect(); disconnect(); connect() makes one socket
    if (attempt !== this._attempt) return;
    if (this._tokenEnd && !await this._renewed()) return;
    if (!TOKEN.test(this._token)) {
      this._tokenRefused(401, UNAUTHORIZED, 'the token has a character that no token has');
      return;
    }
    const query = this._auth === 'query' ? { token: this._token } : {};
    if (this._auth === 'ticket') { // a single-use one, fetched for this connection
      const answer = await this._fetch(this._urlOf('/api/tickets').href, { method: 'POST' });
      if (attempt !== this._attempt) return;
      if (answer.status !== CREATED || !answer.body?.ticket) {
        this._arrival.ended();
        this._refused(answer);
        return;
      }
      query.ticket = answer.body.ticket;
    }
    this._dial(query);
  }

  /** Replace a token that was refused; false where that came to nothing, or the attempt is no longer the current one. */
  async _renewed() {
    const attempt = this._attempt;
    const { code, reason, detail } = this._tokenEnd;
    let error = null;
    await this._step(() => this._renew()).catch((failure) => { error = failure ?? {}; });
    if (attempt !== this._attempt) return false;
    if (error === null) {
      this._tokenEnd = null;
      return true;
    }
    this._arrival.ended();
    if (error.final) {
      this._end(code, reason, detail);
    } else {
      this._wait(code, reason, 'the token could not be renewed');
      this._tell(() => this._fault('refreshToken', error));
    }
    return false;
  }

  _dial(query) {
    const protocols = this._auth === 'subprotocol' ? [SUBPROTOCOL, `bearer.${this._token}`] : [SUBPROTOCOL];
    let ws;
    try {
      ws = new this._WebSocket(this._socketUrl(query), protocols);
    } catch (error) { // its text may quote the token
      this._end(0, '', `the platform refuses to make the WebSocket (${error?.name})`);
      return;
    }
    const mine = (call) => (event) => { if (ws === this.ws) call(event); };
    this.ws = ws;
    this._opened = false;
    ws.onopen = mine(() => this._onOpen());
    ws.onmessage = mine(({ data }) => this._onMessage(data));
    ws.onclose = mine(({ code, reason }) => this._lost(code, reason));
    // Node's own WebSocket before Node 24 tells of a refused upgrade by an error alone.
    ws.onerror = mine(() => { if (!this._opened) this._lost(LOST, ''); });
    this._timers.open = setTimeout(() => this._lost(LOST, ''), this._openTimeoutMs);
  }

  /** The URL of the game's socket. */
  _socketUrl(query = {}) {
    const url = this._urlOf(`/ws/${encodeURIComponent(this.gameId)}`);
    if (this._client && !url.searchParams.has('client')) url.searchParams.set('client', this._client);
    if (this.lastSeq !== null) url.searchParams.set('last_seq', String(this.lastSeq));
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url.href;
  }

  /** A path of the service as a URL; a query that `options.url` has is kept. */
  _urlOf(path) {
    const url = new URL(this._url);
    url.pathname = url.pathname.replace(/\/$/, '') + path;
    url.hash = '';
    return url;
  }

  /**
   * What `ask(signal)` brings, in time, and before the attempt is another. A network that swallows the answer must not
   * hold us up for ever; nor must a runtime whose fetch, now and then, does not settle when the connection is reset as
   * soon as it is made. So the clock's word counts, whatever fetch makes of the abort; and the timer keeps a Node
   * process alive, which AbortSignal.timeout does not.
   */
  async _step(ask) {
    const controller = new AbortController();
    const cut = new Promise((_, reject) => {
      this._cut = () => { controller.abort(); reject(new Error('no answer')); };
    });
    const timer = this._timers.step = setTimeout(this._cut, this._openTimeoutMs);
    try {
      return await Promise.race([cut, ask(controller.signal)]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Status and body of an answer; status 0: there is none, body null: it is no JSON. */
  async _fetch(url, init) {
    try {
      return await this._step(async (signal) => {
        const headers = { authorization: `Bearer ${this._token}` };
        const answer = await fetch(url.replace(/^ws/, 'http'), { headers, cache: 'no-store', signal, ...init });
        return { status: answer.status, body: await answer.json().catch(() => null) };
      });
    } catch {
      return { status: 0, body: null };
    }
  }

  _resetEnd() {
    this._stayAway = false;
    this._adviceMs = null;
  }

  _onOpen() {
    clearTimeout(this._timers.open);
    this._opened = true;
    this._arrival.opened();
    this._resetEnd();
    this.metrics.recordConnection();
    if (this._auth === 'message') this.sendMessage('auth', { token: this._token });
    this._ping();
    this._timers.ping = setInterval(() => this._ping(), this._pingIntervalMs);
    this._timers.ping.unref?.();
  }

  /** The connection has ended, or is as good as ended; `close` is what the peer is told if it still listens. */
  _lost(code, reason, ...close) {
    this._stop(...close);
    this._arrival.ended();
    this.metrics.recordError();
    if (!this._opened) void this._diagnose();
    else if (code === TOKEN_EXPIRED) this._tokenRefused(code, reason, reason);
    else if (this._stayAway || FINAL_CLOSE_CODES.includes(code)) this._end(code, reason, reason || `closed with ${code}`);
    else this._wait(code, reason, 'the connection was lost');
  }

  /** A browser cannot read why an upgrade failed: a plain GET of the same URL tells. */
  async _diagnose() {
    const attempt = this._attempt;
    const answer = await this._fetch(this._socketUrl());
    if (attempt === this._attempt) this._refused(answer);
  }

  /** Only answers of our own are final: they have a `reason`, which a gateway's have not. */
  _refused({ status, body }) {
    const isOurs = typeof body?.reason === 'string';
    const reason = isOurs ? body.reason : '';
    let detail = status ? `answered with ${status}` : 'the server cannot be reached';
    if (isOurs && body.detail) detail = String(body.detail);
    this._adviceMs = isOurs ? spread(asked(body.retry_after_ms)) : null;
    if (reason === UNAUTHORIZED) this._tokenRefused(status, reason, detail);
    else if (FINAL_REASONS.includes(reason)) this._end(status, reason, detail);
    else this._wait(status, reason, detail);
  }

  /** After a refused or expired token: try a fresh one, once; after an end, the next `connect` begins with that. */
  _tokenRefused(code, reason, detail) {
    this._resetEnd();
    if (this._refreshToken) this._tokenEnd = { code, reason, detail };
    if (!this._refreshToken || this._freshTokenRefused) {
      this._end(code, reason, detail);
      return;
    }
    this._freshTokenRefused = true; // until a welcome says otherwise
    void this._try();
  }

  /** Wait as the server asked, or until the network is back, which is no attempt; or back off. */
  _wait(code, reason, detail, isFree = false) {
    const adviceMs = this._adviceMs;
    this._adviceMs = null;
    const isCounted = adviceMs === null && !isFree;
    const isLate = this._giveUpAfterMs > 0 && this._arrival.waitedMs >= this._giveUpAfterMs;
    if (isLate || (isCounted && this.reconnectAttempts >= (this.maxReconnectAttempts ?? Infinity))) {
      this._end(code, reason, detail);
      return;
    }
    if (isCounted) this.reconnectAttempts += 1;
    const delayMs = adviceMs ?? fullJitter(this.reconnectAttempts + Number(isFree));
    this._notBefore = performance.now() + (adviceMs ?? 0);
    this._become('waiting');
    this.metrics.recordReconnect();
    this._timers.retry = setTimeout(() => void this._try(), delayMs);
    const retry = { delayMs, attempt: this.reconnectAttempts };
    this._tell(() => { if (this.state === 'waiting') this._emit('retry', retry); });
  }

  _end(code, reason, detail) {
    this._close(detail);
    this._tell(() => this._emit('end', { code, reason, detail }));
  }

  _close(detail, ...close) {
    this._stop(...close);
    this._listen('removeEventListener');
    clearInterval(this._timers.watch);
    this._become('closed');
    for (const one of this._requests.values()) one.reject(new Error(`the connection has ended: ${detail}`));
  }

  /** End what is under way; the number of the next attempt, by which whatever comes late sees that it is stale. */
  _stop(...close) {
    for (const name of ['retry', 'pong', 'open', 'step']) clearTimeout(this._timers[name]);
    clearInterval(this._timers.ping);
    this._timers.pong = null;
    this._cut?.();
    this._cut = null;
    const { ws } = this;
    this.ws = null;
    // One that does not answer is not waited for; close() of the ws package would.
    if (close.length === 0 && ws?.terminate) ws.terminate();
    else ws?.close(...close);
    this._attempt += 1;
    return this._attempt;
  }

  // ---------------------------------------------------------------- signs of the platform

  _watch() {
    this._listen('addEventListener');
    let seen = Date.now();
    this._timers.watch = setInterval(() => {
      const now = Date.now();
      if (now - seen > 3 * WATCH_MS) this._wake();
      seen = now;
    }, WATCH_MS);
    this._timers.watch.unref?.();
  }

  _listen(method) {
    for (const type of ['online', 'offline', 'pageshow']) globalThis[method]?.(type, this._onSign);
    globalThis.document?.[method]?.('visibilitychange', this._onSign);
  }

  _heed(sign) {
    if (sign !== 'offline') {
      if (sign !== 'visibilitychange' || document.visibilityState === 'visible') this._wake();
    } else if (this.state !== 'waiting') {
      this._stop();
      this._arrival.ended();
      this._wait(LOST, '', 'the network is gone', true);
    }
  }

  /** Whatever was waited for may have come: see at once. What the server asked to wait is kept. */
  _wake() {
    if (this.state === 'open') this._ping();
    else if (this.state === 'waiting' && performance.now() >= this._notBefore) void this._try();
  }

  // ---------------------------------------------------------------- messages

  _onMessage(text) {
    clearTimeout(this._timers.pong); // whoever speaks is alive
    this._timers.pong = null;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      // nothing of the server's; the next durable event shows whether something was missed
    }
    if (typeof message?.type !== 'string') return;
    this.metrics.recordMessage();
    if (Number.isInteger(message.seq) && !this._isNext(message.seq)) return;
    NOTES[message.type]?.call(this, message.data ?? {});
    const { _visit: visit, lastSeq } = this;
    this._tell(() => {
      if (visit !== this._visit) return;
      this._handedSeq = lastSeq;
      this._guard(message.type, () => this.handleMessage(message));
    });
  }

  /** Whether the event is the next one: an old one is passed over, after a gap we reconnect. */
  _isNext(seq) {
    const last = this.lastSeq ?? 0;
    if (seq <= last) return false;
    if (seq > last + 1) {
      this._adviceMs = 0;
      this._lost(GAP, 'gap', GAP, 'gap');
      return false;
    }
    this.lastSeq = seq;
    return true;
  }

  _send(text) {
    if (this.readyState !== OPEN) return false;
    this.ws.send(text);
    return true;
  }

  async _renew() { this._token = await this._refreshToken(); }

  /** The token runs out soon: tell the server a fresh one; where there is none, it is asked for again at its end. */
  async _renewInTime() {
    const attempt = this._attempt;
    if (!this._refreshToken) return;
    try {
      await this._renew();
    } catch (error) {
      this._fault('refreshToken', error);
      return;
    }
    if (attempt === this._attempt) this.sendMessage('auth', { token: this._token });
  }

  _ping() {
    const data = { timestamp: performance.now() };
    if (this.rttMs !== null) data.rtt_ms = this.rttMs;
    if (!this.sendMessage('ping', data)) return;
    if (this._timers.pong) return; // an earlier ping is still unanswered
    this._timers.pong = setTimeout(() => this._lost(LOST, ''), this._pongTimeoutMs);
    this._timers.pong.unref?.();
  }

  // ---------------------------------------------------------------- telling

  _become(state) {
    if (state === this.state) return;
    this.state = state;
    this._tell(() => this._emit('state', { state }));
  }

  /** Call out when all is settled; in the order in which things happened. */
  _tell(call) { queueMicrotask(call); }

  _emit(type, message, about = type) {
    for (const handler of this._handlers.get(type) ?? []) this._guard(about, () => handler(message));
  }

  /** Call out; what goes wrong there is told, and stops nothing here. */
  _guard(about, call) {
    try {
      const answer = call();
      if (typeof answer?.then === 'function') answer.then(undefined, (error) => this._fault(about, error));
    } catch (error) {
      this._fault(about, error);
    }
  }

  _fault(type, error) {
    if (type !== 'fault' && this._handlers.get('fault')?.length) this._emit('fault', { error, type });
    else console.error(`Code Racer: what was called for ${type} failed:`, error);
  }
}

/** What the client itself does about a message, before the handlers. */
const NOTES = Object.freeze({
  __proto__: null,
  welcome(data) {
    this.welcome = data;
    this.reconnectAttempts = 0;
    this._freshTokenRefused = false;
    if (data.resumed) this.metrics.recordResume();
    else this.lastSeq = data.last_seq;
    this._become('open');
    const hello = this._arrival.joined();
    if (data.accepts?.includes('hello')) this.sendMessage('hello', hello); // a release before it has no such list
    for (const { text } of this._requests.values()) this._send(text);
  },
  pong(data) {
    this.metrics.recordRtt(Math.max(0, performance.now() - data.timestamp));
  },
  ack(data) {
    this._requests.get(data.id)?.resolve(data.seq ?? null);
  },
  error(data) {
    this.metrics.recordError();
    const one = this._requests.get(data.id);
    if (!one) return;
    const waitMs = spread(asked(data.retry_after_ms));
    if (waitMs === null) one.reject(new Rejected(data.code, data.message));
    else one.again = setTimeout(() => { if (this.state === 'open') this._send(one.text); }, waitMs);
  },
  token_expiring() {
    void this._renewInTime();
  },
  disconnect(data) {
    this._stayAway = data.reconnect === false;
    this._adviceMs = asked(data.retry_after_ms); // the server spreads these itself
  },
});

/**
 * Collects messages and sends them as one `batch`: when `batchSize` wait, or after `batchDelay` ms. While the
 * connection is down they wait for it, at most 1,000 of them. `ws` is a GameWebSocket, or a plain WebSocket.
 */
export class MessageBatcher {
  constructor(ws, batchSize = 10, batchDelay = 100) {
    if (batchSize < 1 || batchSize > MAX_BATCH) throw new RangeError(`batchSize must be 1 to ${MAX_BATCH}`);
    this.ws = ws;
    this.batchSize = batchSize;
    this.batchDelay = batchDelay;
    this.messages = [];
    this.timer = null;
  }

  /** Send a message with the next batch; false where 1,000 wait already. */
  addMessage(type, data) {
    if (this.messages.length >= MAX_QUEUED) return false;
    this.messages.push({ type, data });
    if (this.messages.length >= this.batchSize) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), this.batchDelay);
    return true;
  }

  /** Send what waits now; what cannot be sent now goes on waiting. */
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    while (this.messages.length > 0 && this.ws.readyState === OPEN) {
      const data = this.messages.splice(0, this.batchSize);
      if (this.ws.sendMessage) this.ws.sendMessage('batch', data);
      else this.ws.send(JSON.stringify({ type: 'batch', data }));
    }
    if (this.messages.length > 0) this.timer = setTimeout(() => this.flush(), this.batchDelay);
  }

  /** Send what waits and end. */
  close() {
    this.flush();
    clearTimeout(this.timer);
    this.timer = null;
  }
}

/** Keeps at most `maxConnections` games connected; for one more, the oldest is disconnected. */
export class WebSocketPool {
  constructor(maxConnections = 5, options = {}) {
    this.connections = new Map();
    this.maxConnections = maxConnections;
    this.options = options;
  }

  /** The connection of a game: the one there is, or a new one, connecting. */
  getConnection(gameId, token) {
    const known = this.connections.get(gameId);
    if (known && known.state !== 'closed') return known;
    this.connections.delete(gameId);
    while (this.connections.size >= this.maxConnections) {
      const [oldest, connection] = this.connections.entries().next().value;
      this.connections.delete(oldest);
      connection.disconnect();
    }
    const connection = new GameWebSocket(gameId, token, this.options);
    this.connections.set(gameId, connection);
    connection.connect();
    return connection;
  }

  /** Disconnect all. */
  close() {
    for (const connection of this.connections.values()) connection.disconnect();
    this.connections.clear();
  }
}
