// Drives the JavaScript client by JSON lines: commands in, everything it hears out. The twin of driver.py.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { GameWebSocket, MessageBatcher, Rejected, WebSocketMetrics, WebSocketPool } from '../../clients/javascript/index.js';

const config = JSON.parse(process.argv[2]);
const wishes = config.options ?? {};
const fresh = [...(config.fresh_tokens ?? [])];
const say = (what) => console.log(JSON.stringify(what));
const realSetTimeout = globalThis.setTimeout;
let game = null;
// Waits of the reconnect are told by 'retry'; they are shortened: a test need not sit through a backoff.
globalThis.setTimeout = (call, ms, ...rest) => realSetTimeout(call, game?.state === 'waiting' ? Math.min(ms, 50) : ms, ...rest);

const options = {
  url: config.url,
  WebSocket,
  auth: wishes.auth,
  client: wishes.client,
  maxReconnectAttempts: wishes.max_reconnect_attempts ?? 20,
  pingIntervalMs: (wishes.ping_interval_s ?? 30) * 1000,
  openTimeoutMs: (wishes.open_timeout_s ?? 10) * 1000,
  pongTimeoutMs: (wishes.pong_timeout_s ?? 10) * 1000,
  metrics: new WebSocketMetrics(),
};
if (wishes.deaf_fetch) globalThis.fetch = () => new Promise(() => {}); // neither answers nor heeds its signal
if (fresh.length > 0) {
  options.refreshToken = () => {
    say({ refreshed: true });
    return fresh.shift();
  };
}
game = new GameWebSocket(config.game_id, config.token, options);
const batcher = new MessageBatcher(game);
game.on('*', (message) => say({ message }));
game.on('end', ({ code, detail }) => say({ end: { code, detail } }));
game.on('retry', ({ delayMs }) => say({ waits_s: delayMs / 1000 }));

const commands = {
  connect: () => game.connect(),
  send: ({ type, data }) => game.sendMessage(type, data),
  request: async ({ type, data }) => {
    try {
      say({ answer: { seq: await game.request(type, data) } });
    } catch (error) {
      say({ answer: error instanceof Rejected ? { code: error.code } : { error: error.message } });
    }
  },
  batch: ({ messages }) => messages.forEach(({ type, data }) => batcher.addMessage(type, data)),
  pool: async ({ games }) => {
    const pool = new WebSocketPool(5, options);
    for (const id of games) await pool.getConnection(id, config.token).request('ready', { status: 'not_ready' });
    say({ pool: [...pool.connections.keys()] });
    pool.close();
  },
  metrics: () => {
    const figures = Object.entries(game.metrics.getMetrics());
    const snake = (name) => name.replace('rttMs', 'rttS').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    say({ metrics: Object.fromEntries(figures.map(([name, value]) => [snake(name), value])) });
  },
  quit: () => {
    batcher.close();
    game.disconnect();
    process.stdin.destroy();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  void commands[command.do](command);
}
