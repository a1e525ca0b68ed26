// Plays rows of tests/clients/table, many side by side: a line in is a row, a line out what was told of it, or what the
// network is to do next. The twin of tests/clients/play.py.
//
// What belongs to a row is told by the asynchronous context: its timers, its sockets, the platform's signs. A row is over
// when nothing of it is left.
import { AsyncLocalStorage } from 'node:async_hooks';
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const source = readFileSync(process.env.CLIENT ?? new URL('../../clients/javascript/client.js', import.meta.url), 'utf8');
const { GameWebSocket, MessageBatcher, WebSocketMetrics } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const current = new AsyncLocalStorage();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const STAYS = 2 ** 30; // so that only a call or a sign ends the wait
const SHORT_MS = 20;
const PATIENCE_MS = 10_000;
const WATCH_MS = 30_000; // what looks at the clock does so more often, pings are sent more seldom
const { setTimeout: realSetTimeout, setInterval: realSetInterval, clearTimeout: realClear, fetch: realFetch } = globalThis;
const later = (ms) => new Promise((resolve) => { realSetTimeout(resolve, ms); });

// ---------------------------------------------------------------- the platform, a row at a time

const nobody = { timers: new Set(), loose: [] };
const mine = () => current.getStore() ?? nobody;
for (const kind of ['unhandledRejection', 'uncaughtException']) {
  process.on(kind, (error) => (mine().told?.loose ?? nobody.loose).push(`${kind}: ${error?.message}`));
}
process.on('warning', (warning) => nobody.loose.push(`warning: ${warning.message}`));
process.on('exit', () => { if (nobody.loose.length > 0) say({ loose: nobody.loose }); });
console.error = (text, error) => mine().told.logged.push(`${/called for (\w+)/.exec(text)?.[1]}: ${error?.message}`);

globalThis.setTimeout = (call, ms, ...rest) => {
  const { timers, client, row } = mine();
  const most = row?.waits_at_most_s ? row.waits_at_most_s * 1000 : SHORT_MS;
  const wait = client?.state === 'waiting' ? (row.waits_stay && ms ? STAYS : Math.min(ms, most)) : ms;
  const timer = realSetTimeout((...values) => { timers.delete(timer); call(...values); }, wait, ...rest);
  timers.add(timer);
  timer.of = timers;
  return timer;
};
globalThis.setInterval = (call, ms) => {
  const { timers, looks } = mine();
  if (ms < WATCH_MS) looks?.push(call);
  const timer = realSetInterval(call, ms);
  timers.add(timer);
  timer.of = timers;
  return timer;
};
globalThis.clearTimeout = globalThis.clearInterval = (timer) => {
  timer?.of?.delete(timer);
  realClear(timer);
};
globalThis.fetch = async (...request) => {
  const play = mine();
  play.fetches += 1;
  try {
    return await realFetch(...request);
  } finally {
    play.fetches -= 1;
  }
};
for (const method of ['addEventListener', 'removeEventListener']) {
  const listen = (type, listener) => {
    const { signs, listeners } = mine();
    signs[method](type, listener);
    listeners[method === 'addEventListener' ? 'add' : 'delete'](type);
  };
  globalThis[method] = listen;
  globalThis.document = { ...globalThis.document, [method]: listen };
}
Object.defineProperty(globalThis.document, 'hidden', { get: () => mine().isHidden });

const { lookup: realLookup } = dns;
let areNamesGone = false;
dns.lookup = (name, options, done) => { // of the WebSocket, and of fetch
  if (!areNamesGone) return realLookup(name, options, done);
  return process.nextTick(done ?? options, Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }));
};

class Counted extends WebSocket {
  constructor(...address) {
    const play = mine();
    if (play.row.socket === 'throws') throw new SyntaxError(`no such subprotocol: ${address[1]}`);
    super(...address);
    play.told.sockets += 1;
    play.told.tries.push(Date.now() / 1000);
    play.sockets.add(this);
    this.on('close', () => play.sockets.delete(this));
    this.tellsNoClose = play.row.socket === 'tells no close';
  }

  // As Node's own before Node 24: a refused upgrade is an error, and no close follows.
  set onclose(handler) { super.onclose = this.tellsNoClose ? null : handler; }

  get onclose() { return super.onclose; }
}

// ---------------------------------------------------------------- a row

const OWN = { refreshToken: 'refresh_token' };
const JOIN = { timeout: 'TimeoutError', 'given up': 'AbortError', unsendable: 'TypeError' };
const SENT = { true: 'sent', false: 'not sent', queued: 'queued' };
const camel = (name) => name.replace(/_s$/, '_ms').replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const inMs = ([name, value]) => [camel(name), name.endsWith('_s') ? value * 1000 : value];

const throws = () => { throw new Error('the application\'s own'); };
const counted = ['Connection', 'Error', 'Reconnect', 'Resume'];
/** Whatever is counted throws, but for what is counted by the message. */
class ThrowingMetrics extends WebSocketMetrics {}
for (const what of counted) ThrowingMetrics.prototype[`record${what}`] = throws;

/** One row: a client, what its handlers do, and what is told of it. */
class Play {
  constructor(row) {
    this.row = row;
    this.told = { heard: [], sockets: 0, faults: [], logged: [], loose: [], ends: [], waits: [], whys: [], answers: [], seqs: [], errors: [], readies: 0, tries: [], opens: [] };
    this.timers = new Set();
    this.sockets = new Set();
    this.fetches = 0;
    this.signs = new EventTarget();
    this.listeners = new Set();
    this.looks = [];
    this.isHidden = false;
    this.read = 0;
    this.asked = 0;
    this.changed = () => {};
    this.networked = () => {};
    this.goesOn = new Promise((resolve) => { this.goOn = resolve; });
  }

  begin() {
    const { row } = this;
    const options = Object.fromEntries(Object.entries({ open_timeout_s: 20, ...row.options }).map(inMs));
    if (row.auth) options.auth = row.auth;
    if (row.metrics) options.metrics = new ThrowingMetrics();
    if (row.fresh) options.refreshToken = () => this.refresh();
    this.client = new GameWebSocket(row.game_id, row.token, { url: row.url, WebSocket: Counted, ...options });
    for (const type of ['state', 'retry', 'end', 'welcome', 'player_ready', 'pong', 'token_expiring']) {
      const handler = (event) => this.hear(event.state ?? type, handler);
      this.client.on(type, handler);
    }
    this.client.on('end', ({ code, reason, detail }) => this.told.ends.push([code, reason, detail]));
    this.client.on('retry', ({ delayMs, attempt, code, reason, detail }) => {
      this.told.waits.push([delayMs / 1000, attempt]);
      this.told.whys.push([code, reason, detail]);
    });
    this.client.on('*', ({ type, seq }) => {
      if (seq) this.told.seqs.push(seq);
      if (type === 'player_ready') this.told.readies += 1;
    });
    this.client.on('error', ({ data }) => this.told.errors.push(data.code ?? null));
    if (row.hears_faults !== 'no') this.client.on('fault', (fault) => this.fault(fault));
  }

  fault({ error, type }) {
    this.told.faults.push(`${OWN[type] ?? type}: ${error.message}`);
    if (this.row.hears_faults === 'badly') throw new Error('and another');
  }

  refresh() {
    const next = this.row.fresh.shift();
    if (next === 'no network') throw new Error('the network is away');
    if (next === 'logged out') return Promise.reject(Object.assign(new Error('logged out'), { final: true }));
    if (next === 'never') return new Promise(() => {});
    if (next === 'late') return this.client.waitFor('pong').then(() => 'marked.late.token');
    if (next === 'slow') return this.client.waitFor('pong').then(() => this.row.token);
    if (next === 'disconnect') this.client.disconnect();
    return next;
  }

  /** A handler was called: it misbehaves, the first times. */
  hear(name, handler) {
    this.note(name);
    const act = this.row.handlers?.[name];
    handler.done ??= 0;
    if (act === undefined || this.isOver || handler.done >= (this.row.times ?? 1)) return undefined;
    handler.done += 1;
    return this.act(act);
  }

  note(name) {
    if (name === 'open') this.told.opens.push(Date.now() / 1000);
    this.told.heard.push(name);
    this.changed();
  }

  act(what) {
    if (what === 'throw') throw new Error('the application\'s own');
    if (what === 'reject') return Promise.reject(new Error('the application\'s own'));
    if (what === 'never') return new Promise(() => {});
    if (what === 'request when told') return this.goesOn.then(() => this.ask());
    if (what === 'disconnect and connect') this.client.disconnect();
    return this.call(what === 'disconnect and connect' ? 'connect' : what);
  }

  /** Another each time: the same again is no event. */
  get status() {
    this.asked += 1;
    return { status: this.asked % 2 ? 'ready' : 'not_ready', filler: 'x'.repeat(this.row.filler ?? 0) };
  }

  async ask(limits, data = this.status) {
    try {
      await this.client.request('ready', data, limits);
      this.told.answers.push('seq');
    } catch (error) {
      this.told.answers.push(Object.keys(JOIN).find((kind) => JOIN[kind] === error.name) ?? 'ended');
    }
    this.note('answered');
  }

  /** What is heard next of this name, after what the steps before have waited for. */
  async heard(name) {
    for (;;) {
      const at = this.told.heard.indexOf(name, this.read);
      if (at >= 0) {
        this.read = at + 1;
        return;
      }
      await new Promise((resolve) => { this.changed = resolve; });
    }
  }

  call(step) {
    const { client } = this;
    switch (step) {
      case 'connect': return void client.connect();
      case 'disconnect': return void client.disconnect();
      case 'ask': return void this.ask();
      case 'ask by name': return void this.ask({ id: 'one' });
      case 'request': return this.ask();
      case 'request twice with one id': this.ask({ id: 'one' }); return void this.ask({ id: 'one' });
      case 'request in 20 ms': return this.ask({ timeoutMs: 20 });
      case 'request given up': return this.ask({ signal: AbortSignal.abort() });
      case 'request of what cannot be sent': return this.ask({}, { size: 1n });
      case 'nothing has come': client.lastSeq = 0; return null;
      case 'send': return void this.told.answers.push(SENT[client.sendMessage('ready', this.status)]);
      case 'ping': return void client.sendMessage('ping', { timestamp: 1 });
      case 'batch a ping': return void this.batcher.addMessage('ping', { timestamp: 1 });
      case 'opened': return this.opened();
      case 'fetching': return this.fetching();
      case 'go on': return void this.goOn();
      case 'turn': return this.turn();
      case 'hide': case 'show':
        this.isHidden = step === 'hide';
        return void this.signs.dispatchEvent(new Event('visibilitychange'));
      case 'online': case 'offline': case 'pageshow': return void this.signs.dispatchEvent(new Event(step));
      case 'jump': return this.jump();
      case 'once and off': return this.onceAndOff();
      case 'two events in one turn': return this.twoEvents();
      default: return null;
    }
  }

  /** Until an attempt that is under way has come to something, but not for ever. */
  async turn() {
    for (let waited = 0; waited < 50; waited += 1) {
      await later(SHORT_MS / 4);
      if (!this.client.state.endsWith('connecting')) return;
    }
  }

  async opened() {
    while (this.client.readyState !== WebSocket.OPEN) await later(1); // nobody is told of it
  }

  async fetching() {
    while (this.fetches === 0) await later(1); // nobody is told of it
  }

  jump() {
    const { now } = Date;
    Date.now = () => now() + 3_600_000;
    for (const look of this.looks) look();
    Date.now = now;
  }

  onceAndOff() {
    const once = () => this.told.answers.push('once');
    const off = () => this.told.answers.push('off');
    this.client.once('pong', once).once('pong', off).on('pong', off).off('pong', off);
  }

  twoEvents() {
    const { client, told } = this;
    const { lastSeq, ws: { onmessage } } = client;
    for (const seq of [lastSeq + 1, lastSeq + 2]) onmessage({ data: JSON.stringify({ type: 'player_ready', data: {}, seq }) });
    told.answers.push(client.lastSeq - lastSeq);
    queueMicrotask(() => told.answers.push(client.lastSeq - lastSeq, told.readies));
  }

  async play() {
    this.begin();
    this.batcher = new MessageBatcher(this.client);
    for (const step of this.row.steps) {
      if (step.network) {
        const done = new Promise((resolve) => { this.networked = resolve; });
        say({ id: this.row.id, network: step.network });
        await done;
      } else if (step.calls) await Promise.all(step.calls.map((call) => this.call(call)));
      else await this.heard(step.hears);
    }
    if (this.row.is_random) {
      this.isOver = true; // the application has done with it
      this.client.disconnect();
    }
    const late = performance.now() + PATIENCE_MS;
    do await later(1); while (this.left.length > 0 && performance.now() < late);
    this.told.left = this.left;
    this.told.state = this.client.state;
    say({ id: this.row.id, told: this.told });
  }

  get left() {
    const kinds = { timer: this.timers.size, socket: this.sockets.size, fetch: this.fetches, listener: this.listeners.size };
    return Object.entries(kinds).filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`);
  }
}

const plays = new Map();
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  if (said.names) {
    areNamesGone = said.names === 'gone';
  } else if (said.done) {
    plays.get(said.id).networked();
  } else {
    const play = new Play(said);
    plays.set(said.id, play);
    void current.run(play, () => play.play());
  }
}
