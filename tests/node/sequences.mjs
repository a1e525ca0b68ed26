// Plays one row of tests/clients/test_sequences.py: steps, one after the other, with handlers that misbehave. Told at the
// end, when nothing keeps the process alive any more: what was heard, the sockets made, what went wrong.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const row = JSON.parse(process.argv[2]);
const told = { heard: [], sockets: 0, faults: [], errors: [], loose: [], ends: [], waits: [], answers: [], listeners: 0 };
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
process.on('exit', () => say({ told }));
for (const kind of ['unhandledRejection', 'uncaughtException']) process.on(kind, (error) => told.loose.push(`${error?.message}`));
console.error = (...words) => told.errors.push(words.join(' '));

// ---------------------------------------------------------------- a platform whose signs the row gives

const signs = new EventTarget();
const listened = new Set();
const watched = (target) => ({
  addEventListener(type, listener) {
    told.listeners = listened.add(type).size;
    target.addEventListener(type, listener);
  },
  removeEventListener(type, listener) {
    listened.delete(type);
    told.listeners = listened.size;
    target.removeEventListener(type, listener);
  },
});
Object.assign(globalThis, watched(signs));
globalThis.document = { visibilityState: 'visible', ...watched(signs) };
const looks = []; // what looks at the clock now and then
let client = null;
const { setTimeout: realSetTimeout, setInterval: realSetInterval } = globalThis;
const STAYS = 2 ** 30; // so that only a sign ends the wait
globalThis.setTimeout = (call, ms, ...rest) => {
  if (client?.state !== 'waiting') return realSetTimeout(call, ms, ...rest);
  return realSetTimeout(call, row.waits_stay ? STAYS : Math.min(ms, 20), ...rest);
};
globalThis.setInterval = (call, ms) => {
  if (ms < 30_000) looks.push(call); // the rest are pings
  return realSetInterval(call, ms);
};

class Counted extends WebSocket {
  constructor(...address) {
    if (row.socket === 'throws') throw new SyntaxError(`no such subprotocol: ${address[1]}`);
    super(...address);
    told.sockets += 1;
  }

  // As Node's own before Node 24: a refused upgrade is an error, and no close follows.
  set onclose(handler) { super.onclose = row.socket === 'tells no close' ? null : handler; }

  get onclose() { return super.onclose; }
}

// ---------------------------------------------------------------- a gateway that answers in the server's place

let base = row.url;
if (row.gateway) {
  const { status, type = 'text/html', body = '' } = row.gateway;
  const gateway = createServer((_, answer) => answer.writeHead(status, { 'content-type': type, connection: 'close' }).end(body));
  // An upgrade is answered alike, as no handler takes it.
  await new Promise((ready) => { gateway.listen(0, '127.0.0.1', ready); });
  gateway.unref();
  base = `ws://127.0.0.1:${gateway.address().port}`;
}

// ---------------------------------------------------------------- the client

const source = readFileSync(process.env.CLIENT_JS ?? new URL('../../clients/javascript/client.js', import.meta.url), 'utf8');
const { GameWebSocket } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const fresh = [...(row.fresh ?? [])];
const options = { url: base, WebSocket: Counted, openTimeoutMs: 20_000, ...row.options };
if (row.fresh) {
  options.refreshToken = () => {
    const next = fresh.shift();
    if (next === 'no network') throw new Error('the network is away');
    if (next === 'logged out') return Promise.reject(Object.assign(new Error('logged out'), { final: true }));
    if (next === 'never') return new Promise(() => {});
    return next;
  };
}
client = new GameWebSocket(row.game_id, row.token, options);
const acts = {
  throw: () => { throw new Error('the application\'s own'); },
  reject: async () => { throw new Error('the application\'s own'); },
  never: () => new Promise(() => {}),
  disconnect: () => client.disconnect(),
  connect: () => client.connect(),
  'disconnect and connect': () => { client.disconnect(); client.connect(); },
  request: () => ask(),
};
let changed = () => {};
const hear = (name, handler) => {
  told.heard.push(name);
  changed();
  const act = row.handlers?.[name];
  if (act === undefined || handler.done) return undefined;
  handler.done = true; // once is enough
  return acts[act]();
};
for (const type of ['state', 'retry', 'end', 'welcome', 'player_ready', 'pong']) {
  const handler = (event) => hear(event.state ?? type, handler);
  client.on(type, handler);
}
client.on('end', ({ code, reason, detail }) => told.ends.push({ code, reason, detail }));
client.on('retry', ({ delayMs, attempt }) => told.waits.push({ delayMs, attempt }));
if (row.hears_faults !== false) {
  client.on('fault', ({ error, type }) => {
    told.faults.push(`${type}: ${error.message}`);
    if (row.hears_faults === 'badly') throw new Error('and another');
  });
}

async function ask(limits) {
  try {
    told.answers.push(typeof await client.request('ready', { status: 'ready' }, limits));
  } catch (error) {
    told.answers.push(error.name === 'Error' ? error.message : error.name);
  }
  told.heard.push('answered');
  changed();
}

// ---------------------------------------------------------------- the steps

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const sign = (type) => signs.dispatchEvent(new Event(type));
let read = 0;

/** What is heard next of this name, after what the steps before have waited for. */
async function heard(name) {
  for (;;) {
    const at = told.heard.indexOf(name, read);
    if (at >= 0) {
      read = at + 1;
      return;
    }
    await new Promise((resolve) => { changed = resolve; });
  }
}

const steps = {
  connect: () => client.connect(),
  disconnect: () => client.disconnect(),
  ask: () => { void ask(); },
  request: () => ask(),
  'request in 20 ms': () => ask({ timeoutMs: 20 }),
  'request given up': () => ask({ signal: AbortSignal.abort() }),
  'request with what is no JSON': () => client.request('ready', { size: 1n }).catch((error) => told.answers.push(error.name)),
  jump: () => {
    const late = Date.now() + 3_600_000;
    const { now } = Date;
    Date.now = () => late;
    for (const look of looks) look();
    Date.now = now;
  },
  show: () => { document.visibilityState = 'visible'; sign('visibilitychange'); },
  hide: () => { document.visibilityState = 'hidden'; sign('visibilitychange'); },
  'two events in one turn': () => {
    const { lastSeq, ws: { onmessage } } = client;
    for (const seq of [lastSeq + 1, lastSeq + 2]) onmessage({ data: JSON.stringify({ type: 'player_ready', data: {}, seq }) });
    told.answers.push(client.lastSeq - lastSeq);
    const handed = () => told.heard.filter((name) => name === 'player_ready').length;
    queueMicrotask(() => told.answers.push(client.lastSeq - lastSeq, handed()));
  },
  'once and off': () => {
    const once = () => told.answers.push('once');
    const off = () => told.answers.push('off');
    client.once('pong', once).once('pong', off).on('pong', off).off('pong', off);
  },
};
for (const sent of ['online', 'offline', 'pageshow']) steps[sent] = () => sign(sent);

for (const step of row.steps) {
  if (['cut', 'refuse', 'heal'].includes(step)) {
    say({ network: step });
    await lines.next();
  } else if (step.split('+')[0] in steps) await Promise.all(step.split('+').map((one) => steps[one]()));
  else await heard(step);
}
process.stdin.destroy();
