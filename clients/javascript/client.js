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
 * Handlers are called in microtasks of their own (`#tell`): all is settled before any is called, nothing of the client
 * comes after it in the same turn, and so they may throw, or call whatever they like.
 */

const MAX_BATCH = 50;
/** What says how things are now, or has a way of its own: it waits for no connection. */
const FLEETING = /^(auth|batch|hello|ping|progress)$/;
const OPEN = 1;
/** What `debug` is told: of messages the type and the number alone. */
const TOLD = ['state', 'retry', 'end', 'dropped', '*'];

/** Where a client stands with its game: the closed list, in the order in which a usual one comes by. */
export const STATES = Object.freeze(['idle', 'connecting', 'open', 'waiting', 'reconnecting', 'closed']);

// generated: version and close table
/** The version of this client, which is the server's it came with. */
export const VERSION = '0.1.0';
/** Close codes after which no reconnect helps (without a new token); from the server's close table. */
export const FINAL_CLOSE_CODES = Object.freeze([1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4404, 4409, 4411, 4412]);
/** Reasons of refusals after which no other try helps; from the server's table of refusals. */
export const FINAL_REASONS = Object.freeze(['invalid_game_id', 'bad_request', 'unauthorized', 'origin_refused', 'forbidden', 'no_such_path', 'no_such_game', 'game_full', 'game_running', 'game_over', 'left']);
// end of generated

const LOST = 1006;
const TOKEN_EXPIRED = 4401;
/** After a gap; codes below are the wire protocol's, and anybody between may close with them: ours say before that they are final. */
const GAP = 4000;
/** A gap so soon after another is of the same trouble; that is longer than any wait between them. */
const GAPS_MS = 60_000;
/** A JSON Web Token has no other characters; a subprotocol takes few others. */
const TOKEN = /^[\w.-]+$/;
/** Nobody of ours asks for a longer wait; what a timer takes for none at all is far above. */
const MAX_ADVICE_MS = 600_000;
/** Pings more often than that are a flood, and no connection comes up in less. */
const LEAST_MS = 100;
/** A timer takes more for no wait at all. */
const MOST_MS = 2 ** 31 - 1;
/** Of the options; `giveUpAfterMs`, three hours: every race is over by then. */
const DEFAULTS = {
  auth: 'subprotocol',
  client: `code-racer-javascript/${VERSION}`,
  giveUpAfterMs: 10_800_000,
  lastSeq: null,
  maxReconnectAttempts: null,
  openTimeoutMs: 10_000,
  pingIntervalMs: 30_000,
  pongTimeoutMs: 10_000,
};
/** Bounds of what `hello` may tell. */
const MAX_HELLO_COUNT = 1_000;
const MAX_HELLO_MS = 600_000;
const MAX_OUTAGE_MS = 86_400_000;
/** How often the clock is looked at: where it went on without us for three times that, the machine has slept. */
const WATCH_MS = 5_000;

/**
 * Milliseconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s.
 * Full jitter: after a deploy, clients do not come back in step.
 */
export function fullJitter(attempt) {
  return Math.random() * Math.min(1000 * 2 ** attempt, 30_000);
}

/** Whether it is one within bounds; what is no number is not the same as one. */
function isNumber(value, least, most) {
  return value === +value && value >= least && value <= most;
}

/** Whether an option can be that: what would fail later, or again and again, is told at once. */
function fits(name, value) {
  if (name === 'auth') return /^(message|query|subprotocol|ticket)$/.test(value);
  if (/^(debug|refreshToken)$/.test(name)) return typeof value === 'function';
  // Of those that are numbers, the ones of opening, ping and pong.
  return !/^(max|queue)|Ms$/.test(name) || isNumber(value, /^[op]/.test(name) ? LEAST_MS : 0, MOST_MS);
}

/** A wait that the server asks for; null where there is none to be read, or one that nobody of ours asks for. */
function asked(ms) {
  return isNumber(ms, 1, MAX_ADVICE_MS) ? ms : null;
}

/** What all who are refused are asked for alike: never less, and up to half as much more. */
function spread(ms) {
  return ms && ms + ms * Math.random() / 2;
}

/** What a client counts of its connections; several may share one. */
export class WebSocketMetrics {
  connectionCount = 0;

  messageCount = 0;

  errorCount = 0;

  reconnectCount = 0;

  resumeCount = 0;

  rttMs = null;

  recordConnection() { this.connectionCount += 1; }

  recordMessage() { this.messageCount += 1; }

  recordError() { this.errorCount += 1; }

  recordReconnect() { this.reconnectCount += 1; }

  recordResume() { this.resumeCount += 1; }

  recordRtt(rttMs) { this.rttMs = rttMs; }

  getMetrics() { return { ...this }; }
}

/** What a player meets on the way into a game, measured where the player is: sent in `hello`, once a connection. */
class Arrival {
  #since;

  #tried;

  #openMs;

  #failed;

  #isIn;

  /** How often the player was in. */
  joins = 0;

  /** The player wants to come: nothing from before counts. */
  begin() {
    this.#since = performance.now();
    this.#isIn = false;
    this.joins = this.#failed = 0;
  }

  /** Milliseconds since the player wanted to come, or was lost. */
  get waitedMs() { return performance.now() - this.#since; }

  tried() { this.#tried = performance.now(); }

  opened() { this.#openMs = performance.now() - this.#tried; }

  /** The connection is lost, or the attempt came to nothing. */
  ended() {
    if (this.#isIn) this.#since = performance.now();
    else this.#failed += 1;
    this.#isIn = false;
  }

  /** The snapshot is there, or what is sent instead of one; the data of `hello`, within its bounds. */
  joined() {
    const data = {
      reconnects: Math.min(this.joins, MAX_HELLO_COUNT),
      failed_attempts: Math.min(this.#failed, MAX_HELLO_COUNT),
      open_ms: Math.min(this.#openMs, MAX_HELLO_MS),
      ...(this.joins ? { outage_ms: Math.min(this.waitedMs, MAX_OUTAGE_MS) } : { join_ms: Math.min(this.waitedMs, MAX_HELLO_MS) }),
    };
    this.joins += 1;
    this.#failed = 0;
    this.#isIn = true;
    return data;
  }
}

/** The server answered a request with an error, which `code` is the word for. */
export class Rejected extends Error {
  name = 'Rejected';

  constructor(code, message) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** A player's connection to a game. Subclass and override `handleMessage`, or register handlers with `on`. */
export class GameWebSocket {
  ws = null;

  state = 'idle';

  welcome = null;

  reconnectAttempts = 0;

  /** Milliseconds of the round trip measured last; null before the first. */
  rttMs = null;

  #token;

  #options = { ...DEFAULTS };

  #arrival = new Arrival();

  #handlers = new Map();

  /** What waits for an answer, by its id; waiters by themselves. */
  #asked = new Map();

  /** How many messages of `queue` there are. */
  #kept = 0;

  /** The last 100 events, which can be asked for after they have come. */
  #recent = [];

  /** Of the attempt that is the current one. */
  #timers = {};

  #attempt = 0;

  #cut;

  #opened;

  /** How the connection ended that a fresh token is to mend, and whether one was refused already. */
  #tokenEnd;

  #freshTokenRefused;

  /** The attempt on whose connection the token is being renewed in time. */
  #renewing;

  /** What the server says of coming back. */
  #stayAway;

  #adviceMs = null;

  /** How many gaps followed on another, and until when the next one does. */
  #gaps = 0;

  #gapsUntil = 0;

  #notBefore;

  /** The last event that has come, the last that a handler has seen, and what tells one time from another. */
  #seq;

  #handedSeq;

  #visit = 0;

  #look;

  /** When the last ping was sent. */
  #pinged;

  /**
   * @param {string} gameId
   * @param {string} token JSON Web Token; never shown in an error or a log line
   * @param {import('./client.js').GameWebSocketOptions} [options] see client.d.ts
   */
  constructor(gameId, token, options = {}) {
    const chosen = this.#options;
    for (const name in options) {
      const value = chosen[name] = options[name] ?? chosen[name];
      if (value != null && !fits(name, value)) throw new TypeError(`${name}: bad value`); // which may be a token
    }
    chosen.url ||= globalThis.location?.origin.replace(/^http/, 'ws');
    chosen.WebSocket ??= globalThis.WebSocket;
    for (const name of ['url', 'WebSocket']) if (!chosen[name]) throw new Error(`pass ${name}`);
    if (/^\.{0,2}$/.test(gameId)) throw new Error('gameId is no part of a path');
    this.gameId = gameId;
    this.lastSeq = chosen.lastSeq;
    this.metrics = chosen.metrics ?? new WebSocketMetrics();
    this.maxReconnectAttempts = chosen.maxReconnectAttempts;
    this.#token = token;
    this.#urlOf(''); // throws where it is no URL
    if (chosen.debug) for (const what of TOLD) this.on(what, ({ data, ...rest }) => chosen.debug(what, rest));
  }

  /** So that frameworks that wrap objects to watch them leave this one alone: it has private parts. */
  get [Symbol.toStringTag]() { return 'GameWebSocket'; }

  /** The last event that has come; set before `connect`, the events after it are asked for. */
  get lastSeq() { return this.#seq; }

  set lastSeq(seq) {
    if (seq != null && seq !== seq >>> 0) throw new TypeError('lastSeq: bad value');
    this.#seq = this.#handedSeq = seq;
  }

  /** As of the WebSocket: 1 while a message could be sent. */
  get readyState() { return this.ws?.readyState ?? 3; }

  /**
   * Connect; from then on the connection keeps itself up until `disconnect` or a final answer. While it waits to try
   * again, it tries at once; after an end it starts afresh.
   */
  connect() {
    if (this.state === 'waiting') this.#try();
    if (!/idle|closed/.test(this.state)) return;
    this.reconnectAttempts = 0;
    this.#freshTokenRefused = false;
    this.#resetEnd();
    this.#arrival.begin();
    this.#watch();
    this.#try();
  }

  /** Close with 1000 and come back no more. What no handler has seen yet is asked for again by the next `connect`. */
  disconnect() {
    this.#close('disconnected', 1000, 'User requested');
    this.#visit += 1;
    this.#seq = this.#handedSeq;
  }

  /**
   * Send one message: true where it is sent, `'queued'` where it waits for the connection (option `queue`), else false.
   * What waits is a `request` without an id of its own: sent in order with the next welcome, and applied once.
   */
  sendMessage(type, data, id) {
    const queue = !FLEETING.test(type) && this.#options.queue;
    if ((!queue || this.state === 'open') && this.#send(JSON.stringify({ type, data, id }))) return true;
    if (this.state === 'closed' || !(this.#kept < queue)) return false;
    this.#kept += 1;
    this.request(type, data, { id })
      .catch((error) => this.#tell(() => this.#emit('dropped', { type, data, error })))
      .finally(() => { this.#kept -= 1; });
    return 'queued';
  }

  /**
   * Send one message and wait for its `ack`: the seq of the event it caused, or null. Across reconnects, and where
   * the server asks for it, it is sent again with the same id, and applied once. Rejects with `Rejected`, with the
   * reason of `signal` or a TimeoutError, or with an Error where the connection ends for good before.
   */
  request(type, data, { id = `${Math.random()}`, ...limits } = {}) {
    return this.#await(`answer to ${type}`, id, limits, (one) => {
      one.text = JSON.stringify({ type, data, id });
      if (this.state === 'open') this.#send(one.text);
    });
  }

  /**
   * Wait for the next message of a type; with `since`, also one of the last 100 events, later than that. Rejects as
   * `request` does.
   */
  waitFor(type, { since, ...limits } = {}) {
    const known = this.#recent.find((event) => event.type === type && event.seq > (since ?? Infinity));
    return known ? Promise.resolve(known) : this.#await(type, {}, limits, (one) => { one.type = type; });
  }

  /**
   * Call `handler(message)` with every message of a type, `'*'` for all. Of the client's own:
   * `'state'` with `{ state }`, `'end'` with `{ code, reason, detail }` when it is over for good,
   * `'retry'` with `{ delayMs, attempt }`, `'fault'` with `{ error, type }` when a handler has thrown, or `refreshToken`.
   */
  on(type, handler) {
    this.#handlers.set(type, [...(this.#handlers.get(type) ?? []), handler]);
    return this;
  }

  /** As `on`, for the next message alone. */
  once(type, handler) {
    const one = (message) => this.off(type, one) && handler(message);
    one.handler = handler;
    return this.on(type, one);
  }

  /** Call `handler` no more. */
  off(type, handler) {
    this.#handlers.set(type, (this.#handlers.get(type) ?? []).filter((one) => one !== handler && one.handler !== handler));
    return this;
  }

  /** Hand a message to the registered handlers; override to do something else. */
  handleMessage(message) {
    this.#emit(message.type, message);
    this.#emit('*', message, message.type);
  }

  // ---------------------------------------------------------------- the connection

  /** Make one attempt; whatever there was before it stops. */
  async #try() {
    const attempt = this.#stop();
    this.#become(this.#arrival.joins ? 'reconnecting' : 'connecting');
    this.#arrival.tried();
    await null; // connect(); disconnect(); connect() makes one socket
    if (attempt !== this.#attempt) return;
    if (this.#tokenEnd && !await this.#renewed()) return;
    if (!TOKEN.test(this.#token ?? '')) {
      this.#tokenRefused(401, 'unauthorized', 'the token has a character that no token has');
      return;
    }
    const query = this.#options.auth === 'query' ? { token: this.#token } : {};
    if (this.#options.auth === 'ticket') { // a single-use one, fetched for this connection
      const answer = await this.#fetch(this.#urlOf('/api/tickets').href, 'POST');
      if (attempt !== this.#attempt) return;
      if (!answer.body?.ticket) {
        this.#arrival.ended();
        this.#refused(answer);
        return;
      }
      query.ticket = answer.body.ticket;
    }
    this.#dial(query);
  }

  /** Replace a token that was refused; false where that came to nothing, or the attempt is no longer the current one. */
  async #renewed() {
    const attempt = this.#attempt;
    const why = this.#tokenEnd;
    try {
      const token = await this.#step(async () => this.#options.refreshToken());
      if (attempt === this.#attempt) { // else it is no newer than what was asked for after it
        this.#token = token;
        this.#tokenEnd = null;
        return true;
      }
    } catch (error) {
      if (attempt === this.#attempt) {
        this.#arrival.ended();
        if (error?.final) {
          this.#end(...why);
        } else {
          this.#wait(why[0], why[1], 'no fresh token');
          this.#tell(() => this.#fault('refreshToken', error));
        }
      }
    }
    return false;
  }

  #dial(query) {
    const protocols = ['code-racer.v1'];
    if (this.#options.auth === 'subprotocol') protocols.push(`bearer.${this.#token}`);
    let ws;
    try {
      ws = new this.#options.WebSocket(this.#socketUrl(query), protocols);
    } catch (error) { // its text may quote the token
      this.#end(0, '', `no WebSocket (${error?.name})`);
      return;
    }
    const mine = (call) => (event) => { if (ws === this.ws) call(event); };
    this.ws = ws;
    this.#opened = false;
    ws.onopen = mine(() => {
      this.#opened = true;
      this.#arrival.opened();
      this.#resetEnd();
      this.#count('recordConnection');
      if (this.#options.auth === 'message') this.sendMessage('auth', { token: this.#token });
      this.#ping();
      this.#timers.ping = setInterval(() => this.#ping(), this.#options.pingIntervalMs);
    });
    ws.onmessage = mine(({ data }) => this.#onMessage(data));
    ws.onclose = mine(({ code, reason }) => this.#lost(code, reason));
    // Node's own WebSocket before Node 24 tells of a refused upgrade by an error alone.
    ws.onerror = mine(() => { if (!this.#opened) this.#lost(); });
    this.#timers.open = setTimeout(() => this.#lost(), this.#options.openTimeoutMs);
  }

  /** The URL of the game's socket. */
  #socketUrl(query) {
    const url = this.#urlOf(`/ws/${encodeURIComponent(this.gameId)}`);
    const { searchParams } = url;
    const wanted = { client: searchParams.get('client') ?? this.#options.client, last_seq: this.lastSeq ?? '', ...query };
    for (const name in wanted) if (wanted[name] !== '') searchParams.set(name, wanted[name]);
    return url.href;
  }

  /** A path of the service as a URL; a query that `options.url` has is kept. */
  #urlOf(path) {
    const url = new URL(this.#options.url);
    url.hash = '';
    url.pathname = url.pathname.replace(/\/?$/, path);
    return url;
  }

  /**
   * What `ask(signal)` brings, in time, and before the attempt is another. A network that swallows the answer must not
   * hold us up for ever; nor must a runtime whose fetch, now and then, does not settle when the connection is reset as
   * soon as it is made. So the clock's word counts, whatever fetch makes of the abort; and the timer keeps a Node
   * process alive, which AbortSignal.timeout does not.
   */
  async #step(ask) {
    const controller = new AbortController();
    const cut = new Promise((_, reject) => {
      this.#cut = () => { controller.abort(); reject(new Error('no answer')); };
    });
    const timer = this.#timers.step = setTimeout(this.#cut, this.#options.openTimeoutMs);
    try {
      return await Promise.race([cut, ask(controller.signal)]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Status, body and type of an answer; status 0: there is none, body null: it is no JSON. One that points elsewhere is not
   * followed: the token is for this service.
   */
  async #fetch(url, method) {
    try {
      return await this.#step(async (signal) => {
        const answer = await fetch(url.replace(/^ws/, 'http'), {
          headers: { authorization: `Bearer ${this.#token}` }, cache: 'no-store', redirect: 'manual', signal, method,
        });
        return { status: answer.status, body: await answer.json().catch(() => null), type: answer.headers.get('content-type') };
      });
    } catch {
      return { status: 0 };
    }
  }

  #resetEnd() {
    this.#stayAway = false;
    this.#adviceMs = null;
  }

  /** The connection has ended, or is as good as ended; `close` is what the peer is told if it still listens. */
  #lost(code = LOST, reason = '', ...close) {
    this.#stop(...close);
    this.#arrival.ended();
    this.#count('recordError');
    if (!this.#opened) this.#diagnose();
    else if (code === TOKEN_EXPIRED) this.#tokenRefused(code, reason, reason);
    else if (this.#stayAway || (code >= GAP && FINAL_CLOSE_CODES.includes(code))) this.#end(code, reason, reason || `closed with ${code}`);
    else this.#wait(code, reason, 'the connection was lost');
  }

  /** A browser cannot read why an upgrade failed: a plain GET of the same URL tells. */
  async #diagnose() {
    const attempt = this.#attempt;
    const answer = await this.#fetch(this.#socketUrl());
    if (attempt === this.#attempt) this.#refused(answer);
  }

  /** Only answers of our own are final: problem documents with a `reason`; a gateway may say such a word in its own JSON. */
  #refused({ status, body, type }) {
    const isOurs = /problem\+json/.test(type) && body?.status === status;
    const { reason = '', detail: said, retry_after_ms: waitMs } = isOurs ? body : {};
    const detail = `${said || (status ? `answered with ${status}` : 'no answer')}`;
    this.#adviceMs = spread(asked(waitMs)) ?? this.#adviceMs;
    if (reason === 'unauthorized') this.#tokenRefused(status, reason, detail);
    else if (FINAL_REASONS.includes(reason) && !waitMs) this.#end(status, reason, detail);
    else this.#wait(status, reason, detail);
  }

  /** After a refused or expired token: try a fresh one, once; after an end, the next `connect` begins with that. */
  #tokenRefused(...why) {
    this.#resetEnd();
    const { refreshToken } = this.#options;
    if (refreshToken) this.#tokenEnd = why;
    if (!refreshToken || this.#freshTokenRefused) {
      this.#end(...why);
      return;
    }
    this.#freshTokenRefused = true; // until a welcome says otherwise
    if (this.state === 'open') this.#wait(...why, true); // one that expires at once must not have us come back at once
    else this.#try();
  }

  /** Wait as the server asked, or until the network is back, which is no attempt; or back off. */
  #wait(code, reason, detail, isFree = false) {
    const adviceMs = this.#adviceMs;
    this.#adviceMs = null;
    const isCounted = adviceMs === null && !isFree;
    const { giveUpAfterMs } = this.#options;
    if ((giveUpAfterMs && this.#arrival.waitedMs >= giveUpAfterMs) || (isCounted && this.reconnectAttempts >= (this.maxReconnectAttempts ?? Infinity))) {
      this.#end(code, reason, detail);
      return;
    }
    if (isCounted) this.reconnectAttempts += 1;
    const delayMs = adviceMs ?? fullJitter(this.reconnectAttempts + isFree);
    this.#notBefore = performance.now() + adviceMs;
    this.#become('waiting');
    this.#count('recordReconnect');
    this.#timers.retry = setTimeout(() => this.#try(), delayMs);
    const retry = { delayMs, attempt: this.reconnectAttempts, code, reason, detail };
    this.#tell(() => { if (this.state === 'waiting') this.#emit('retry', retry); });
  }

  #end(code, reason, detail) {
    this.#close(detail);
    this.#tell(() => this.#emit('end', { code, reason, detail }));
  }

  #close(detail, ...close) {
    this.#stop(...close);
    this.#listen('removeEventListener');
    clearTimeout(this.#look);
    this.#become('closed');
    for (const one of this.#asked.values()) one.reject(new Error(`the connection has ended: ${detail}`));
  }

  /** End what is under way; the number of the next attempt, by which whatever comes late sees that it is stale. */
  #stop(...close) {
    Object.values(this.#timers).forEach(clearTimeout); // it clears what setInterval has set, too
    this.#timers = {};
    this.#cut?.();
    const { ws } = this;
    this.ws = null;
    // One that does not answer is not waited for; close() of the ws package would, half a minute.
    if (close.length || !ws?.terminate) ws?.close(...close);
    if (ws?.terminate) {
      const late = setTimeout(() => ws.terminate(), close.length && this.#options.pongTimeoutMs);
      ws.onclose = () => clearTimeout(late);
    }
    return this.#attempt += 1;
  }

  // ---------------------------------------------------------------- signs of the platform

  #watch() {
    this.#listen('addEventListener');
    let seen = Date.now();
    this.#look = setInterval(() => {
      const now = Date.now();
      if (now - seen > 3 * WATCH_MS) this.#wake();
      seen = now;
    }, WATCH_MS);
  }

  #listen(method) {
    for (const type of ['online', 'offline', 'pageshow', 'visibilitychange']) globalThis[method]?.(type, this.#heed);
  }

  #heed = ({ type: sign }) => {
    if (sign !== 'offline') {
      if (sign !== 'visibilitychange' || !document.hidden) this.#wake();
    } else if (this.state !== 'waiting') {
      this.#stop();
      this.#arrival.ended();
      this.#wait(LOST, '', sign, true);
    }
  };

  /**
   * Whatever was waited for may have come: see at once; where an attempt is under way, after that, if it comes to nothing.
   * What the server asked to wait is kept.
   */
  #wake() {
    if (this.readyState === OPEN) this.#ping();
    else if (this.state !== 'waiting') this.#adviceMs ??= 0;
    else if (performance.now() >= this.#notBefore) this.#try();
  }

  // ---------------------------------------------------------------- messages

  #onMessage(text) {
    this.#timers.pong = clearTimeout(this.#timers.pong); // whoever speaks is alive
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      // nothing of the server's; the next durable event shows whether something was missed
    }
    if (typeof message?.type !== 'string') return;
    this.#count('recordMessage');
    if (Number.isInteger(message.seq)) {
      if (!this.#isNext(message.seq)) return;
      if (this.#recent.push(message) > 100) this.#recent.shift();
    }
    this.#note(message);
    for (const one of this.#asked.values()) if (one.type === message.type) one.resolve(message);
    const seq = this.#seq;
    const visit = this.#visit;
    this.#tell(() => {
      if (visit !== this.#visit) return;
      this.#handedSeq = seq;
      this.#guard(message.type, () => this.handleMessage(message));
    });
  }

  /** Whether the event is the next one: an old one is passed over, after a gap we reconnect. */
  #isNext(seq) {
    if (seq === this.#seq + 1) { // null counts as 0
      this.#seq = seq;
      return true;
    }
    if (seq > this.#seq) { // at once, but for one that follows on another
      const now = performance.now();
      this.#gaps = now < this.#gapsUntil ? this.#gaps + 1 : 0;
      this.#gapsUntil = now + GAPS_MS;
      this.#adviceMs = this.#gaps && fullJitter(this.#gaps);
      this.#lost(GAP, 'gap', GAP, 'gap');
    }
    return false;
  }

  /** A promise that is kept under `key` until it is settled: by what comes, the end, or its limits. */
  #await(what, key, { timeoutMs, signal }, begin) {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') throw new Error('the connection has ended');
      if (this.#asked.has(key)) throw new Error('asked twice');
      signal?.throwIfAborted();
      const settle = (how) => (value) => {
        this.#asked.delete(key);
        clearTimeout(one.again);
        clearTimeout(late);
        signal?.removeEventListener('abort', abort);
        how(value);
      };
      const one = { resolve: settle(resolve), reject: settle(reject) };
      const abort = () => one.reject(signal.reason);
      begin(one);
      const late = timeoutMs && setTimeout(() => one.reject(new DOMException(`no ${what} in time`, 'TimeoutError')), timeoutMs);
      signal?.addEventListener('abort', abort);
      this.#asked.set(key, one);
    });
  }

  #send(text) {
    const isOpen = this.readyState === OPEN;
    if (isOpen) this.ws.send(text);
    return isOpen;
  }

  /** The token runs out soon: tell the server a fresh one; where there is none, it is asked for again at its end. */
  async #renewInTime() {
    const attempt = this.#attempt;
    if (attempt === this.#renewing) return; // the slower of two must not win
    this.#renewing = attempt;
    const token = await this.#options.refreshToken?.();
    if (attempt !== this.#attempt) return;
    this.#renewing = null;
    if (TOKEN.test(token ?? '')) this.sendMessage('auth', { token: this.#token = token });
  }

  #ping() {
    this.#pinged = performance.now();
    if (!this.sendMessage('ping', { timestamp: this.#pinged, rtt_ms: this.rttMs })) return;
    this.#timers.pong ??= setTimeout(() => this.#lost(), this.#options.pongTimeoutMs); // or an earlier one is unanswered
  }

  /** What the client itself does about a message, before the handlers. */
  #note({ type, data: said }) {
    const data = said ?? {};
    const one = this.#asked.get(data.id);
    if (type === 'welcome') {
      clearTimeout(this.#timers.open);
      this.welcome = data;
      this.reconnectAttempts = 0;
      this.#freshTokenRefused = false;
      if (data.resumed) this.#count('recordResume');
      else this.#seq = data.last_seq | 0; // whatever it is
      this.#become('open');
      const hello = this.#arrival.joined();
      if (data.accepts?.includes?.('hello')) this.sendMessage('hello', hello); // a release before it has no such list
      for (const { text, again } of this.#asked.values()) if (text && !again) this.#send(text);
    } else if (type === 'pong') {
      // else of a ping of the application's own
      if (data.timestamp === this.#pinged) this.#count('recordRtt', this.rttMs = performance.now() - data.timestamp);
    } else if (type === 'ack') {
      one?.resolve(data.seq ?? null);
    } else if (type === 'error') {
      this.#count('recordError');
      const waitMs = spread(asked(data.retry_after_ms));
      if (!waitMs) one?.reject(new Rejected(data.code, data.message));
      else if (one) one.again = setTimeout(() => {
        one.again = null; // else with the next welcome
        if (this.state === 'open') this.#send(one.text);
      }, waitMs);
    } else if (type === 'token_expiring') {
      this.#tell(() => this.#guard('refreshToken', () => this.#renewInTime()));
    } else if (type === 'disconnect') {
      this.#stayAway = data.reconnect === false;
      this.#adviceMs = asked(data.retry_after_ms); // the server spreads these itself
    }
  }

  // ---------------------------------------------------------------- telling

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.#tell(() => this.#emit('state', { state }));
  }

  /** Call out when all is settled; in the order in which things happened. */
  #tell(call) { queueMicrotask(call); }

  #emit(type, message, about = type) {
    for (const handler of this.#handlers.get(type) ?? []) this.#guard(about, () => handler(message));
  }

  /** Call out; what goes wrong there is told, and stops nothing here. */
  #guard(about, call) {
    try {
      call()?.then?.(null, (error) => this.#fault(about, error));
    } catch (error) {
      this.#fault(about, error);
    }
  }

  /** Count with what may be the application's own; nothing here depends on it. */
  #count(what, value) { this.#tell(() => this.#guard('metrics', () => this.metrics[what](value))); }

  #fault(type, error) {
    if (type !== 'fault' && this.#handlers.get('fault')?.length) this.#emit('fault', { error, type });
    else console.error(`Code Racer: called for ${type}:`, error);
  }
}

/**
 * Collects messages and sends them as one `batch`: when `batchSize` wait, or after `batchDelay` ms. While the
 * connection is down they wait for it, at most 1,000 of them. `ws` is a GameWebSocket, or a plain WebSocket.
 */
export class MessageBatcher {
  messages = [];

  timer = null;

  onState = ({ state }) => { if (state === 'open') this.flush(); };

  constructor(ws, batchSize = 10, batchDelay = 100) {
    if (batchSize < 1 || batchSize > MAX_BATCH) throw new RangeError(`batchSize: 1 to ${MAX_BATCH}`);
    this.ws = ws;
    this.batchSize = batchSize;
    this.batchDelay = batchDelay;
    ws.on?.('state', this.onState);
  }

  /** Send a message with the next batch; false where 1,000 wait already. Throws where it can never be sent. */
  addMessage(type, data) {
    if (this.messages.length >= 1_000) return false;
    JSON.stringify(data); // throws now, not when it is sent with others
    this.messages.push({ type, data });
    if (this.messages.length >= this.batchSize) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), this.batchDelay);
    return true;
  }

  /** Send what waits now; what cannot be sent now goes on waiting. */
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    while (this.messages.length && this.ws.readyState === OPEN) {
      const data = this.messages.splice(0, this.batchSize);
      if (this.ws.sendMessage) this.ws.sendMessage('batch', data);
      else this.ws.send(JSON.stringify({ type: 'batch', data }));
    }
    if (this.messages.length && this.ws.readyState === 0) this.timer = setTimeout(() => this.flush(), this.batchDelay);
  }

  /** Send what waits and end. */
  close() {
    this.ws.off?.('state', this.onState);
    this.flush();
    clearTimeout(this.timer);
    this.timer = null;
  }
}
