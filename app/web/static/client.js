/**
 * Code Racer client: one game over one WebSocket, across reconnects.
 *
 * One ES module without dependencies, for browsers and Node 18 or newer. In a browser the token travels in
 * the subprotocol, so that it stands in no URL and no access log. Node below 22 has no WebSocket of its own:
 * pass one, `new GameWebSocket(id, token, { WebSocket: (await import('ws')).default, url: 'ws://…' })`.
 *
 * Durable events carry `seq`: after a cut the client reconnects with `last_seq`, hands on each event once and
 * in order, and reconnects when it notices a gap.
 */

const SUBPROTOCOL = 'code-racer.v1';
const MAX_DELAY_MS = 30_000;

// generated: close table
/** Close codes after which no reconnect helps (without a new token); from the server's close table. */
export const FINAL_CLOSE_CODES = Object.freeze([1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4404, 4409, 4411, 4412]);
// end of generated

/** Statuses of a refused upgrade after which another try may succeed. */
const RETRY_STATUSES = new Set([0, 426, 429, 500, 502, 503, 504]);

/**
 * Milliseconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s.
 * Full jitter: after a deploy, clients do not come back in step.
 */
export function fullJitter(attempt) {
  return Math.random() * Math.min(1000 * 2 ** attempt, MAX_DELAY_MS);
}

/** A player's connection to a game. Subclass and override `handleMessage`, or register handlers with `on`. */
export class GameWebSocket {
  /**
   * @param {string} gameId
   * @param {string} token JSON Web Token; never shown in an error or a log line
   * @param {object} [options]
   * @param {string} [options.url] the service, like wss://race.example.org; the page's own by default
   * @param {typeof WebSocket} [options.WebSocket] the WebSocket class to use
   * @param {number} [options.maxReconnectAttempts] 5 by default
   * @param {number} [options.pingIntervalMs] 30 000 by default
   */
  constructor(gameId, token, options = {}) {
    this.gameId = gameId;
    this.ws = null;
    this.state = 'idle';
    this.lastSeq = 0;
    this.rttMs = null;
    this.welcome = null;
    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = options.maxReconnectAttempts ?? 5;
    this._pingIntervalMs = options.pingIntervalMs ?? 30_000;
    this._url = (options.url ?? globalThis.location?.origin.replace(/^http/, 'ws') ?? '').replace(/\/$/, '');
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this._handlers = new Map();
    this._retryTimer = null;
    this._pingTimer = null;
    this._resetEnd();
    Object.defineProperty(this, '_token', { value: token, enumerable: false, writable: true });
    if (!this._url) throw new Error('GameWebSocket: pass options.url, there is no page to take it from');
    if (!this._WebSocket) throw new Error('GameWebSocket: pass options.WebSocket, this platform has none');
  }

  /** Connect; from then on the connection keeps itself up until `disconnect` or a final answer. */
  connect() {
    clearTimeout(this._retryTimer);
    this._wanted = true;
    this._setState(this.lastSeq ? 'reconnecting' : 'connecting');
    const ws = new this._WebSocket(this._address(), [SUBPROTOCOL, `bearer.${this._token}`]);
    this.ws = ws;
    this._opened = false;
    ws.onopen = () => { if (ws === this.ws) this._onOpen(); };
    ws.onmessage = (event) => { if (ws === this.ws) this._onMessage(event.data); };
    ws.onerror = () => {};
    ws.onclose = (event) => { if (ws === this.ws) this._onClose(event.code, event.reason); };
  }

  /** Close with 1000 and come back no more. */
  disconnect() {
    this._wanted = false;
    clearTimeout(this._retryTimer);
    this._stopPings();
    this.ws?.close(1000, 'User requested');
    this._setState('closed');
  }

  /**
   * Send one message; false where the connection is down.
   * @returns {boolean}
   */
  sendMessage(type, data, id) {
    if (!this.ws || this.ws.readyState !== 1) return false;
    this.ws.send(JSON.stringify(id === undefined ? { type, data } : { type, data, id }));
    return true;
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

  _address() {
    const query = this.lastSeq ? `?last_seq=${this.lastSeq}` : '';
    return `${this._url}/ws/${this.gameId}${query}`;
  }

  _resetEnd() {
    this._stayAway = false;
    this._retryAfterMs = null;
  }

  _onOpen() {
    this._opened = true;
    this._resetEnd();
    this._ping();
    this._pingTimer = setInterval(() => this._ping(), this._pingIntervalMs);
    this._pingTimer.unref?.();
  }

  _onClose(code, reason) {
    this.ws = null;
    this._stopPings();
    if (!this._wanted) return;
    if (!this._opened) {
      this._afterRefusal(code, reason);
    } else if (this._stayAway || FINAL_CLOSE_CODES.includes(code)) {
      this._end(code, reason, reason || `closed with ${code}`);
    } else {
      this._retry(code, reason, 'the connection was lost');
    }
  }

  /** A browser cannot read why an upgrade failed: a plain GET of the same URL tells. */
  async _afterRefusal(code, reason) {
    const { status, detail, retryAfterMs } = await this._diagnose();
    if (!this._wanted || this.ws) return;
    this._retryAfterMs = retryAfterMs;
    if (RETRY_STATUSES.has(status)) this._retry(code, reason, detail);
    else this._end(status, reason, detail);
  }

  async _diagnose() {
    try {
      const response = await fetch(this._address().replace(/^ws/, 'http'), {
        headers: { authorization: `Bearer ${this._token}` },
        cache: 'no-store',
      });
      const problem = await response.json();
      return {
        status: response.status,
        detail: problem.detail ?? response.statusText,
        retryAfterMs: problem.retry_after_ms ?? null,
      };
    } catch {
      return { status: 0, detail: 'the server cannot be reached', retryAfterMs: null };
    }
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
    this._retryTimer = setTimeout(() => this.connect(), delayMs);
  }

  _end(code, reason, detail) {
    this._wanted = false;
    this._setState('closed');
    this._emit('end', { code, reason, detail });
  }

  // ---------------------------------------------------------------- messages

  _onMessage(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // nothing of the server's; the next durable event shows whether something was missed
    }
    if (Number.isInteger(message.seq) && !this._isNext(message.seq)) return;
    this._note(message);
    this.handleMessage(message);
  }

  /** Whether the event is the next one: an old one is passed over, after a gap we reconnect. */
  _isNext(seq) {
    if (seq <= this.lastSeq) return false;
    if (seq > this.lastSeq + 1) {
      this._retryAfterMs = 0;
      this.ws.close(4000, 'gap');
      return false;
    }
    this.lastSeq = seq;
    return true;
  }

  _note({ type, data }) {
    if (type === 'welcome') {
      this.welcome = data;
      this.reconnectAttempts = 0;
      if (!data.resumed) this.lastSeq = data.last_seq;
      this._setState('open');
    } else if (type === 'pong') {
      this.rttMs = Math.max(0, performance.now() - data.timestamp);
    } else if (type === 'disconnect') {
      this._stayAway = !data.reconnect;
      this._retryAfterMs = data.retry_after_ms || null;
    }
  }

  _ping() {
    const data = { timestamp: performance.now() };
    if (this.rttMs !== null) data.rtt_ms = this.rttMs;
    this.sendMessage('ping', data);
  }

  _stopPings() {
    clearInterval(this._pingTimer);
    this._pingTimer = null;
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
