// Plays scenarios of tests/clients/test_features.py one after the other, and tells what came of each. The twin of
// features.py: the same names, the same answers.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { GameWebSocket, MessageBatcher } from '../../clients/javascript/client.js';
import { Api } from '../../clients/javascript/http.js';
import { Presence } from '../../clients/javascript/presence.js';

const { url, token, other, gateway, games } = JSON.parse(process.argv[2]);
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
      await named(game.waitFor('player_ready', { since: null, timeoutMs: 20 })),
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
  async measured(id) {
    play(id);
    game.connect();
    await game.waitFor('pong'); // of its own
    game.sendMessage('ping', { timestamp: -1e12 });
    while ((await game.waitFor('pong')).data.timestamp !== -1e12);
    return { is_ours: game.rttMs >= 0 && game.rttMs < 600_000 };
  },
  async nowhere(id) {
    play(id);
    const refused = (call) => call.then(() => null, ({ message }) => message);
    const api = new Api(gateway);
    const said = ['', '.', '..'].map((one) => [
      refused((async () => new GameWebSocket(one, token, { url, WebSocket }))()), refused(api.game(one)), refused(api.submission(one, 1)),
    ]);
    return { refused: (await Promise.all(said.flat())).filter((text) => text?.endsWith('is no part of a path')).length };
  },
  async unsendable(id) {
    play(id);
    game.connect();
    await reached('open');
    const batcher = new MessageBatcher(game, 10, 1);
    const heard = game.waitFor('pong');
    batcher.addMessage('ping', { timestamp: 1 });
    let kind = null;
    try { batcher.addMessage('ready', { status: 1n }); } catch (error) { kind = error.name; }
    await heard;
    batcher.close();
    return { kind };
  },
  async mistaken(id) {
    play(id);
    const times = ['giveUpAfterMs', 'pingIntervalMs', 'pongTimeoutMs', 'openTimeoutMs'];
    const options = [...times, 'queue', 'maxReconnectAttempts'].flatMap((name) => ['3', -1, NaN].map((value) => ({ [name]: value })));
    for (const name of ['pingIntervalMs', 'pongTimeoutMs', 'openTimeoutMs']) options.push({ [name]: 0 }, { [name]: 99 });
    options.push({ lastSeq: '3' }, { openTimeoutMs: 2 ** 31 }, { refreshToken: token }, { debug: true }, { auth: 'subprotocoll' });
    const calls = options.map((one) => () => new GameWebSocket(id, token, { url, WebSocket, ...one }));
    for (const seq of ['3', -1, 2.5, NaN]) calls.push(() => { game.lastSeq = seq; });
    const kinds = calls.map((call) => {
      try { return call() && null; } catch ({ name }) { return name; }
    });
    const least = { giveUpAfterMs: 0, queue: 0, maxReconnectAttempts: 0, pingIntervalMs: 100, pongTimeoutMs: 100, openTimeoutMs: 100 };
    const taken = new GameWebSocket(id, token, { url, WebSocket, ...least, refreshToken: undefined, auth: 'query' });
    return { kinds: [...new Set(kinds)], last: game.lastSeq, least: taken.state };
  },
  async unwelcome(id) {
    play(id, { url: `${url}?chaos=loss_pct:100`, openTimeoutMs: 200, pongTimeoutMs: 600_000 });
    game.connect();
    const { attempt } = await next('retry');
    return { attempt };
  },
  async present(id) {
    const seen = [];
    play(id);
    const presence = new Presence(game, (players) => seen.push(
      players.map(({ player_id, ready: isReady, connected }) => `${player_id}${isReady ? '+' : ''}${connected ? '' : '?'}`).join(' '),
    ));
    game.connect();
    await game.waitFor('player_joined', { since: 0 });
    const bob = () => new WebSocket(`${url}/ws/${id}`, { headers: { authorization: `Bearer ${other}` } });
    const steps = [
      ['player_joined', (ws) => ws],
      ['player_ready', (ws) => ws.send('{"type":"ready","data":{"status":"ready"}}')],
      ['player_disconnected', (ws) => ws.terminate()],
      ['player_reconnected', bob],
      ['player_left', (ws) => ws.send('{"type":"leave","data":{}}')],
    ];
    let ws = bob();
    for (const [type, step] of steps) {
      const heard = game.waitFor(type, { since: game.lastSeq });
      ws = step(ws) ?? ws;
      await heard;
    }
    await new Promise(setImmediate); // the handlers have the last event too
    presence.close();
    await game.request('ready', ready('ready'));
    return { seen, last: presence.players.map((one) => one.player_id), bob: presence.get('bob') ?? null };
  },
  async resumed(id) {
    play(id);
    game.connect();
    await next('player_joined');
    game.disconnect();
    play(id, { lastSeq: game.lastSeq });
    const presence = new Presence(game);
    game.connect();
    const { data } = await next('welcome');
    return { resumed: data.resumed, players: presence.players.map((one) => one.player_id) };
  },
  async asked(id) {
    const api = new Api(url.replace('ws', 'http'));
    const guest = await api.guest('Ann');
    api.token = guest.token;
    const made = await api.createGame({ min_players: 1, problem: 'running-total' });
    const shown = await api.game(made.game_id);
    const problems = await api.problems();
    const { ticket: bought } = await api.ticket();
    play(made.game_id, { url: api.wsUrl, auth: 'query' });
    const refused = (call) => call.then(() => null, ({ name, status, reason }) => [name, status, reason]);
    const elsewhere = new Api(gateway);
    const refusals = [
      await refused(api.game(`${made.game_id}?x`)), await refused(api.game(id.replace(/^.{8}/, '00000000'))),
      await refused(api.submission(made.game_id, 1)), await refused(api.createGame({ min_players: 0 })),
      await refused(new Api(api.url).ticket()), await refused(elsewhere.game(id)),
      await refused(new Api(`${gateway}/waf/`).game(id)), await refused(new Api(gateway, { token: 'marked token\n' }).game(id)),
      await refused(new Api(`${gateway}/moved`, { token }).game(id)),
    ];
    const moved = new GameWebSocket(id, token, { url: `${gateway}/moved`.replace('http', 'ws'), WebSocket, auth: 'ticket' });
    const retry = new Promise((resolve) => { moved.on('retry', resolve); });
    moved.connect();
    const { code: ticket } = await retry;
    moved.disconnect();
    await network('swallow');
    const late = await api.problems({ timeoutMs: 50 }).catch(({ name }) => name);
    const signal = AbortSignal.timeout(50);
    const given = await api.problems({ signal }).catch((error) => error === signal.reason);
    await network('heal');
    return {
      names: [guest.name, shown.host_id === guest.player_id, made.ws_url.endsWith(`/ws/${made.game_id}`), shown.problem.id, bought.length > 0],
      problems: problems.some((one) => one.id === 'running-total'), refusals, late: late === 'TimeoutError', given,
      ticket, foreign: await elsewhere.guest('Ann').catch(({ message }) => message.includes('no answer of Code Racer')),
    };
  },
};

for (const [name, id] of Object.entries(games)) {
  const came = await scenarios[name](id);
  game.disconnect();
  say({ name, came });
}
process.stdin.destroy();
