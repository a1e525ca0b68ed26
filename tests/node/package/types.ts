// Compiled against the package, never run: what a game client written in TypeScript relies on.
import {
  FINAL_CLOSE_CODES, FINAL_REASONS, GameWebSocket, MessageBatcher, Rejected, STATES, VERSION, WebSocketMetrics, WebSocketPool,
  fullJitter,
} from '@code-racer/client';
import { Api, Refused } from '@code-racer/client/http';
import { Presence } from '@code-racer/client/presence';
import type { ClientMessage, ServerEvent, ServerMessages, State, Verdict } from '@code-racer/client';

const metrics = new WebSocketMetrics();
const game = new GameWebSocket('id', 'token', {
  url: 'wss://race.example.org', auth: 'ticket', refreshToken: async () => 'fresh', metrics,
  client: `race-web/${VERSION}`, maxReconnectAttempts: null, giveUpAfterMs: 0, queue: 100, debug: console.debug,
});
void new GameWebSocket('id', 'token', { lastSeq: game.lastSeq });
game.on('game_finished', (message) => { const winner: string | null = message.data.winner; void winner; });
game.on('welcome', ({ data }) => { const resumed: boolean = data.resumed; void resumed; });
game.on('end', ({ code, detail }) => { const text: string = `${code.toFixed()} ${detail}`; void text; });
game.on('fault', ({ error, type }) => { const what: string = `${type} ${error instanceof Error}`; void what; });
const finished = async ({ data }: ServerMessages['game_finished']): Promise<void> => { void data.winner; };
game.once('game_finished', finished).off('game_finished', finished);
declare module '@code-racer/client' {
  interface ServerMessages {
    something_new: ServerEvent<{ size: number }, 'something_new'>;
  }
}
game.on('something_new', (message) => { const size: number = message.data.size; void size; });
game.on('*', (message) => { if (message.type === 'pong') void message.data.server_time.toFixed(); });
game.on('dropped', ({ type, error }) => { const text: string = `${type}: ${error.message}`; void text; });
game.on('retry', ({ delayMs, code, detail }) => { const text: string = `${delayMs + code} ${detail}`; void text; });
const told: Promise<string | null> = game.waitFor('game_finished', { since: 3, timeoutMs: 5 }).then(({ data }) => data.winner);
const states: Record<State, number> = { idle: 0, connecting: 1, open: 2, waiting: 3, reconnecting: 4, closed: 5 };
const known: boolean = STATES.every((state) => state in states);
game.on('submission_result', ({ data }) => { const got: string[] = data.tests.map((test) => test.got); void got; });
game.on('player_left', (message) => { const seq: number = message.seq; void seq; });
game.on('welcome', ({ data: { game: { problem, players } } }) => {
  const text: string | undefined = problem.statement;
  const ready: boolean = players.some((player) => player.ready);
  void [text, ready];
});
const verdicts: Record<Verdict, string> = {
  accepted: '', wrong_answer: '', runtime_error: '', time_limit: '', memory_limit: '', invalid: '', unsupported: '',
  judge_error: '',
};
/** Messages of the server are told apart by their type. */
export function says(message: ServerMessages[keyof ServerMessages]): string {
  switch (message.type) {
    case 'error': return message.data.code;
    case 'submission_judged': return verdicts[message.data.verdict];
    default: return message.type;
  }
}
game.connect();
game.sendMessage('leave', {});
game.sendMessage('progress', { percent: 50, lines: null });
game.sendMessage('batch', [{ type: 'ping', data: { timestamp: 1 } }, { type: 'ready', data: {}, id: 'm1' }]);
/** What a program keeps to send is a message too. */
export const later: ClientMessage[] = [{ type: 'submit_code', data: { code: 'print(1)', language: 'python' } }];
const sent: boolean | 'queued' = game.sendMessage('ready', { status: 'ready' });
const seq: Promise<number | null> = game.request('submit_code', { code: '' });
const limited = game.request('ready', {}, { timeoutMs: 5_000, signal: new AbortController().signal });
seq.catch((error: unknown) => { if (error instanceof Rejected) error.code.toUpperCase(); });
new MessageBatcher(game, 10, 100).addMessage('ping', { timestamp: 1 });
const other: GameWebSocket = new WebSocketPool(5, { url: 'ws://x' }).getConnection('id', 'token');
const figures: number = metrics.getMetrics().connectionCount + fullJitter(1) + FINAL_CLOSE_CODES.length + FINAL_REASONS.length;

class Mine extends GameWebSocket {
  override handleMessage(message: { type: string; data: unknown }): void {
    super.handleMessage(message);
  }
}

// @ts-expect-error: there is no such way to send a token
new GameWebSocket('id', 'token', { auth: 'cookie' });
// @ts-expect-error: there is no such message
game.on('game_finishd', () => {});
// @ts-expect-error: nor any such event of the client's own
game.once('closed', () => {});
// @ts-expect-error: what was never told cannot be told no more
game.off('game_over', finished);
// @ts-expect-error: a winner is called winner
game.on('game_finished', ({ data }) => data.winnner);
// @ts-expect-error: code is a number
game.on('end', ({ code }) => code.toUpperCase());
// @ts-expect-error: nobody leaves for fun
game.on('player_left', (message) => message.data.reason === 'fun');
// @ts-expect-error: a state is one of six
game.once('state', ({ state }) => state === 'lost');
// @ts-expect-error: it is called game_finished
game.on('game_fnished', () => {});
// @ts-expect-error: nor is there such a message to wait for
game.waitFor('game_over');
// @ts-expect-error: nobody is told the loser
game.waitFor('game_finished').then(({ data }) => data.loser);
// @ts-expect-error: a handler of one type is none of another
game.off('pong', finished);
// @ts-expect-error: times have their unit in the name
game.request('ready', {}, { timeout: 5 });
// @ts-expect-error: a pong has no seq that could be relied on
game.on('pong', (message) => message.seq.toFixed());
// @ts-expect-error: a winner is a name
game.on('game_finished', (message) => message.data.winner * 2);
// @ts-expect-error: there is no such message
game.sendMessage('redy', { status: 'ready' });
// @ts-expect-error: nobody is steady
game.sendMessage('ready', { status: 'steady' });
// @ts-expect-error: it is called code
game.request('submit_code', { source: 'print(1)' });
// @ts-expect-error: a ping has its time stamp
game.sendMessage('ping', {});
// @ts-expect-error: a percent is a number
new MessageBatcher(game).addMessage('progress', { percent: '5' });
// @ts-expect-error: a leave has no reason
game.sendMessage('leave', { why: 'tired' });
// @ts-expect-error: a batch holds no batch
game.sendMessage('batch', [{ type: 'batch', data: [] }]);
// @ts-expect-error: nor is it acknowledged by an event
game.request('batch', []);

export { Mine, figures, known, limited, other, sent, told };

// ---------------------------------------------------------------- the modules beside it

const present = new Presence(game, (players) => { const names: string[] = players.map(({ name }) => name); void names; });
const isThere: boolean | undefined = present.get('ann')?.connected;
const api = new Api('https://race.example.org', { token: 'token', timeoutMs: 5_000 });
const race: Promise<string> = api.createGame({ finish: 'all_done' }, { signal: new AbortController().signal }).then(
  ({ ws_url, starts_at }) => `${ws_url} ${starts_at ?? ''}`,
);
api.game('id').catch((error: unknown) => { if (error instanceof Refused) void `${error.reason} ${error.retryAfterMs ?? 0}`; });
const solved: Promise<Verdict | null> = api.submission('id', 1).then(({ verdict }) => verdict);

// @ts-expect-error: a race ends in one of two ways
api.createGame({ finish: 'never' });
// @ts-expect-error: a guest has a name
api.guest();
// @ts-expect-error: whoever is there is not to be changed
present.players[0]!.ready = true;

export { isThere, race, solved };
