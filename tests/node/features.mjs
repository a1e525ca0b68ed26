// Plays scenarios of tests/clients/test_features.py one after the other, and tells what came of each. The twin of
// features.py: the same names, the same answers.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { GameWebSocket } from '../../clients/javascript/client.js';

const { url, token, games } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const network = async (how) => { say({ network: how }); await lines.next(); };
const { setTimeout: realSetTimeout } = globalThis;
let game = null;
// A backoff need not be sat through.
globalThis.setTimeout = (call, ms, ...rest) => realSetTimeout(call, game?.state === 'waiting' ? Math.min(ms, 20) : ms, ...rest);

const next = (type) => new Promise((resolve) => { game.once(type, resolve); });
const reached = async (state) => { while (game.state !== state) await next('state'); };
const named = (promise) => promise.then(({ data }) => data.status, ({ name }) => name);
const sent = (type, data) => {
  const answer = game.sendMessage(type, data);
  return answer === true ? 'sent' : answer;
};
const play = (gameId, options) => {
  game = new GameWebSocket(gameId, token, { url, WebSocket, ...options });
  const heard = [];
  game.on('player_ready', ({ data }) => heard.push(data.status));
  return heard;
};
const ready = (status) => ({ status });

const scenarios = {
  async kept(id) {
    const heard = play(id, { queue: 100 });
    let acks = 0;
    game.on('ack', () => { acks += 1; });
    game.connect();
    await reached('open');
    await network('refuse');
    await reached('waiting');
    const answers = [
      sent('ready', ready('ready')), sent('progress', { percent: 5 }), sent('ready', ready('not_ready')),
      sent('ping', { timestamp: 1 }), sent('ready', ready('ready')),
    ];
    await network('heal');
    await reached('open');
    answers.push(sent('ready', ready('not_ready')));
    await game.request('ready', ready('ready'));
    const lost = next('retry');
    await network('cut');
    await lost;
    await reached('open');
    await game.request('ready', ready('not_ready'));
    await new Promise(setImmediate); // the handlers have the last answer too
    return { answers, heard, acks };
  },
  async bounded(id) {
    play(id, { queue: 2 });
    const answers = [1, 2, 3].map(() => sent('ready', ready('ready')));
    game.connect();
    await reached('open');
    await game.request('ready', ready('not_ready'));
    await network('refuse');
    await reached('waiting');
    answers.push(...[1, 2, 3].map(() => sent('ready', ready('ready'))));
    await network('heal');
    return { answers };
  },
  async unbidden(id) {
    play(id);
    return { answers: [sent('ready', ready('ready'))] };
  },
  async dropped(id) {
    play(id, { queue: 1 });
    sent('ready', ready('ready'));
    const told = next('dropped');
    await network('refuse');
    game.connect();
    await reached('waiting');
    game.disconnect();
    await network('heal');
    const { type, data, error } = await told;
    return { type, data, error: error.name, after: sent('ready', ready('ready')) };
  },
  async rejected(id) {
    play(id, { queue: 1 });
    sent('ready', ready('steady'));
    const told = next('dropped');
    game.connect();
    const { error } = await told;
    return { code: error.code };
  },
  async since(id) {
    play(id);
    game.connect();
    await reached('open');
    const first = await game.request('ready', ready('ready'));
    const second = await game.request('ready', ready('not_ready'));
    const answers = [
      await named(game.waitFor('player_ready', { since: first - 1 })),
      await named(game.waitFor('player_ready', { since: first })),
      await named(game.waitFor('player_ready', { since: second, timeoutMs: 20 })),
    ];
    const coming = named(game.waitFor('player_ready', { since: second }));
    await game.request('ready', ready('ready'));
    answers.push(await coming);
    game.disconnect();
    answers.push(await named(game.waitFor('player_ready', { since: second })));
    answers.push(await game.waitFor('player_ready').catch(() => 'over'));
    return { answers };
  },
  async cut_short(id) {
    play(id);
    game.connect();
    const waiting = game.waitFor('game_finished').catch(() => 'over');
    await reached('open');
    game.disconnect();
    return { answers: [await waiting] };
  },
  async debugged(id) {
    const told = [];
    play(id, { debug: (what, details) => told.push(JSON.stringify([what, details])) });
    game.connect();
    await reached('open');
    await game.request('submit_code', { code: 'SECRET' }).catch(() => {});
    const lost = next('retry');
    await network('cut');
    const retry = await lost;
    await reached('open');
    game.disconnect();
    await reached('closed');
    const text = told.join('\n');
    const has = (part) => text.includes(part);
    return {
      told: ['connecting', 'waiting', 'retry', 'connection was lost', 'reconnecting', 'closed', 'player_joined', '"seq":'].map(has),
      kept: ['SECRET', token, 'connection_id'].map(has),
      why: [retry.code, retry.detail],
    };
  },
};

for (const [name, id] of Object.entries(games)) {
  const came = await scenarios[name](id);
  game.disconnect();
  say({ name, came });
}
process.stdin.destroy();
