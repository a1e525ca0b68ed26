/**
 * Code Racer client: one game over one WebSocket, across reconnects.
 *
 * One ES module without dependencies, for browsers and Node 18 or newer; its types are in client.d.ts. In a
 * browser the token travels in the subprotocol, so that it stands in no URL and no access log. Node below 22 has
 * no WebSocket of its own: pass one,
 * `new GameWebSocket(id, token, { WebSocket: (await import('ws')).default, url: 'ws://…' })`.
 *
 * Durable events carry `seq`: after a cut the client reconnects with `last_seq`, hands on each event once and
 * in order, and reconnects when it notices a gap.
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
// end of generated

/** Statuses of a refused upgrade after which another try may succeed; 0: nobody answered. */
const RETRY_STATUSES = new Set([0, 408, 426, 429, 500, 502, 503, 504]);
const UNAUTHORIZED = 401;
const TOKEN_EXPIRED = 4401;

/**
 * Milliseconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s.
 * Full jitter: after a deploy, clients do not come back in step.
 */
export function fullJitter(attempt) {
  return Math.random() * Math.min(1000 * 2 ** attempt, MAX_DELAY_MS);
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
    const waitedMs = performance.now() - this._since;
    const data = {
      reconnects: Math.min(this._joins, MAX_HELLO_COUNT),
      failed_attempts: Math.min(this._failedAttempts, MAX_HELLO_COUNT),
      open_ms: Math.min(this._openMs, MAX_HELLO_MS),
    };
    if (this._joins > 0) data.outage_ms = Math.min(waitedMs, MAX_OUTAGE_MS);
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
    this.maxReconnectAttempts = options.maxReconnectAttempts ?? 5;
    this._pingIntervalMs = options.pingIntervalMs ?? 30_000;
    this._pongTimeoutMs = options.pongTimeoutMs ?? 10_000;
    this._openTimeoutMs = options.openTimeoutMs ?? 10_000;
    this._auth = options.auth ?? 'subprotocol';
    this._refreshToken = options.refreshToken ?? null;
    this._freshTokenRefused = false;
    this._client = options.client ?? `code-racer-javascript/${VERSION}`;
    this._url = (options.url ?? globalThis.location?.origin.replace(/^http/, 'ws') ?? '').replace(/\/$/, '');
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this._arrival = new Arrival();
    this._handlers = new Map();
    this._requests = new Map();
    this._timers = { retry: null, ping: null, pong: null, open: null };
    this._wanted = false;
    this._resetEnd();
    Object.defineProperty(this, '_token', { value: token, enumerable: false, writable: true });
    if (!this._url) throw new Error('GameWebSocket: pass options.url, there is no page to take it from');
    if (!this._WebSocket) throw new Error('GameWebSocket: pass options.WebSocket, this platform has none');
  }

  /** Milliseconds of the round trip measured last; null before the first. */
  get rttMs() { return this.metrics.rttMs; }

  /** As of the WebSocket: 1 while a message could be sent. */
  get readyState() { return this.ws?.readyState ?? 3; }

  /** Connect; from then on the connection keeps itself up until `disconnect` or a final answer. */
  connect() {
    if (this._wanted && this.state !== 'waiting') return;
    if (!this._wanted) this._arrival.begin();
    this._wanted = true;
    this._setState(this.lastSeq === null ? 'connecting' : 'reconnecting');
    void this._open();
  }

  /** Close with 1000 and come back no more. */
  disconnect() {
    this._wanted = false;
    this._stopTimers();
    this.ws?.close(1000, 'User requested');
    this._setState('closed');
    this._failRequests('disconnected');
  }

  /** Send one message, now; false where the connection is down. */
  sendMessage(type, data, id) {
    if (this.readyState !== OPEN) return false;
    this.ws.send(JSON.stringify(id === undefined ? { type, data } : { type, data, id }));
    return true;
  }

  /**
   * Send one message and wait for its `ack`: the seq of the event it caused, or null. Across reconnects, and where
   * the server asks for it, it is sent again with the same id, and applied once. Rejects with `Rejected`, or with an
   * Error where the connection ends for good before.
   */
  async request(type, data) {
    const id = globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    try {
      for (;;) {
        try {
          return await this._ask({ type, data, id });
        } catch (error) {
          if (!(error instanceof Rejected) || error.retryAfterMs === null) throw error;
          await new Promise((resolve) => { setTimeout(resolve, error.retryAfterMs); });
        }
      }
    } finally {
      this._requests.delete(id);
    }
  }

  /**
   * Call `handler(message)` with every message of a type, `'*'` for all. Of the client's own:
   * `'state'` with `{ state }`, `'end'` with `{ code, reason, detail }` when it is over for good,
   * `'retry'` with `{ delayMs, attempt }`.
   */
  on(type, handler) {
    if (!this._handlers.has(type)) this._handlers.set(type, []);
    this._handlers.get(type).push(handler);
    return this;
  }

  /** Hand a message to the registered handlers; override to do something else. */
  handleMessage(message) {
    this._emit(message.type, message);
    this._emit('*', message);
  }

  // ---------------------------------------------------------------- the connection

  async _open() {
    let url;
    this._arrival.tried();
    try {
      url = this._socketUrl(await this._secrets());
    } catch (error) {
      this._arrival.ended();
      this._afterRefusal(error.status ?? 0, error.message, error.retryAfterMs ?? null);
      return;
    }
    if (!this._wanted) return;
    const protocols = this._auth === 'subprotocol' ? [SUBPROTOCOL, `bearer.${this._token}`] : [SUBPROTOCOL];
    const ws = new this._WebSocket(url, protocols);
    this.ws = ws;
    this._opened = false;
    ws.onopen = () => { if (ws === this.ws) this._onOpen(); };
    ws.onmessage = (event) => { if (ws === this.ws) this._onMessage(event.data); };
    ws.onerror = () => {};
    ws.onclose = (event) => { if (ws === this.ws) this._onClose(event.code, event.reason); };
    this._timers.open = setTimeout(() => { if (ws === this.ws) this._giveUp(ws); }, this._openTimeoutMs);
  }

  /** What the query of the URL has of the token; with `auth: 'ticket'` a ticket is fetched for it. */
  async _secrets() {
    if (this._auth === 'query') return { token: this._token };
    if (this._auth === 'ticket') return { ticket: await this._ticket() };
    return {};
  }

  /** The URL of the game's socket. */
  _socketUrl(query = {}) {
    const url = this._urlOf(`/ws/${this.gameId}`);
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

  async _ticket() {
    const { status, body } = await this._fetch(this._urlOf('/api/tickets').href, { method: 'POST' });
    if (status === 201) return body.ticket;
    throw Object.assign(new Error(body.detail ?? 'no ticket'), { status, retryAfterMs: body.retry_after_ms ?? null });
  }

  async _fetch(url, init) {
    // A network that swallows the answer must not hold us up for ever; nor must a runtime whose fetch, now and then,
    // does not settle when the connection is reset as soon as it is made. So the clock's word counts, whatever fetch
    // makes of the abort; and the timer keeps a Node process alive, which AbortSignal.timeout does not.
    const controller = new AbortController();
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => { controller.abort(); reject(new Error('no answer')); }, this._openTimeoutMs);
    });
    try {
      const response = await Promise.race([late, fetch(url.replace(/^ws/, 'http'), {
        headers: { authorization: `Bearer ${this._token}` },
        cache: 'no-store',
        signal: controller.signal,
        ...init,
      })]);
      return { status: response.status, body: await Promise.race([late, response.json()]) };
    } catch {
      return { status: 0, body: { detail: 'the server cannot be reached' } };
    } finally {
      clearTimeout(timer);
    }
  }

  _resetEnd() {
    this._stayAway = false;
    this._retryAfterMs = null;
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

  _onClose(code, reason) {
    this.ws = null;
    this._stopTimers();
    if (!this._wanted) return;
    this._arrival.ended();
    this.metrics.recordError();
    if (!this._opened) {
      void this._diagnose();
    } else if (code === TOKEN_EXPIRED) {
      void this._withFreshToken(code, reason, reason);
    } else if (this._stayAway || FINAL_CLOSE_CODES.includes(code)) {
      this._end(code, reason, reason || `closed with ${code}`);
    } else {
      this._retry(code, reason, 'the connection was lost');
    }
  }

  /** The peer does not answer: its close frame will not come either. */
  _giveUp(ws) {
    ws.onclose = null;
    if (ws.terminate) ws.terminate(); // of the ws package: close() would wait for the peer
    else ws.close();
    this._onClose(1006, '');
  }

  /** A browser cannot read why an upgrade failed: a plain GET of the same URL tells. */
  async _diagnose() {
    const { status, body } = await this._fetch(this._socketUrl());
    if (this._wanted && !this.ws) this._afterRefusal(status, body.detail ?? `refused with ${status}`, body.retry_after_ms ?? null);
  }

  _afterRefusal(status, detail, retryAfterMs) {
    this._retryAfterMs = retryAfterMs;
    if (status === UNAUTHORIZED) void this._withFreshToken(status, '', detail);
    else if (RETRY_STATUSES.has(status)) this._retry(status, '', detail);
    else this._end(status, '', detail);
  }

  /** After a refused or expired token: try a fresh one, once. */
  async _withFreshToken(code, reason, detail) {
    if (!this._refreshToken || this._freshTokenRefused) {
      this._end(code, reason, detail);
      return;
    }
    this._freshTokenRefused = true; // until a welcome says otherwise
    try {
      this._token = await this._refreshToken();
    } catch {
      this._end(code, reason, detail);
      return;
    }
    this._resetEnd();
    if (this._wanted) void this._open();
  }

  /** Wait as the server asked, which is no attempt, or back off. */
  _retry(code, reason, detail) {
    let delayMs = this._retryAfterMs;
    this._retryAfterMs = null;
    if (delayMs === null) {
      if (this.reconnectAttempts >= this.maxReconnectAttempts) {
        this._end(code, reason, detail);
        return;
      }
      this.reconnectAttempts += 1;
      delayMs = fullJitter(this.reconnectAttempts);
    }
    this._setState('waiting');
    this._emit('retry', { delayMs, attempt: this.reconnectAttempts });
    this.metrics.recordReconnect();
    this._timers.retry = setTimeout(() => this.connect(), delayMs);
  }

  _end(code, reason, detail) {
    this._wanted = false;
    this._setState('closed');
    this._failRequests(detail);
    this._emit('end', { code, reason, detail });
  }

  // ---------------------------------------------------------------- messages

  _onMessage(text) {
    clearTimeout(this._timers.pong); // whoever speaks is alive
    this._timers.pong = null;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // nothing of the server's; the next durable event shows whether something was missed
    }
    this.metrics.recordMessage();
    if (Number.isInteger(message.seq) && !this._isNext(message.seq)) return;
    NOTES[message.type]?.call(this, message.data);
    this.handleMessage(message);
  }

  /** Whether the event is the next one: an old one is passed over, after a gap we reconnect. */
  _isNext(seq) {
    const last = this.lastSeq ?? 0;
    if (seq <= last) return false;
    if (seq > last + 1) {
      this._retryAfterMs = 0;
      this.ws.close(4000, 'gap');
      return false;
    }
    this.lastSeq = seq;
    return true;
  }

  _ask(message) {
    return new Promise((resolve, reject) => {
      this._requests.set(message.id, { message, resolve, reject });
      if (this.state === 'open') this.sendMessage(message.type, message.data, message.id);
      else if (this.state === 'closed') reject(new Error('WebSocket not connected'));
    });
  }

  _failRequests(detail) {
    for (const { reject } of this._requests.values()) reject(new Error(`the connection has ended: ${detail}`));
  }

  /** The token runs out soon: tell the server a fresh one. */
  async _renew() {
    if (!this._refreshToken) return;
    try {
      this._token = await this._refreshToken();
    } catch {
      return; // asked again when the old one has ended
    }
    this.sendMessage('auth', { token: this._token });
  }

  _ping() {
    const data = { timestamp: performance.now() };
    if (this.rttMs !== null) data.rtt_ms = this.rttMs;
    const { ws } = this;
    if (!this.sendMessage('ping', data)) return;
    if (this._timers.pong !== null) return; // an earlier ping is still unanswered
    this._timers.pong = setTimeout(() => { if (ws === this.ws) this._giveUp(ws); }, this._pongTimeoutMs);
    this._timers.pong.unref?.();
  }

  _stopTimers() {
    clearInterval(this._timers.ping);
    for (const name of ['retry', 'pong', 'open']) {
      clearTimeout(this._timers[name]);
      this._timers[name] = null;
    }
  }

  _setState(state) {
    if (state === this.state) return;
    this.state = state;
    this._emit('state', { state });
  }

  _emit(type, message) {
    for (const handler of this._handlers.get(type) ?? []) handler(message);
  }
}

/** What the client itself does about a message, before the handlers. */
const NOTES = Object.freeze({
  welcome(data) {
    this.welcome = data;
    this.reconnectAttempts = 0;
    this._freshTokenRefused = false;
    if (data.resumed) this.metrics.recordResume();
    else this.lastSeq = data.last_seq;
    this._setState('open');
    const hello = this._arrival.joined();
    if (data.accepts?.includes('hello')) this.sendMessage('hello', hello); // a release before it has no such list
    for (const { message } of this._requests.values()) this.sendMessage(message.type, message.data, message.id);
  },
  pong(data) {
    this.metrics.recordRtt(Math.max(0, performance.now() - data.timestamp));
  },
  ack(data) {
    this._requests.get(data.id)?.resolve(data.seq ?? null);
  },
  error(data) {
    this.metrics.recordError();
    this._requests.get(data.id)?.reject(new Rejected(data.code, data.message, data.retry_after_ms ?? null));
  },
  token_expiring() {
    void this._renew();
  },
  disconnect(data) {
    this._stayAway = !data.reconnect;
    this._retryAfterMs = data.retry_after_ms || null;
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
