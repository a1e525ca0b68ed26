// Joins a game with the package as it is imported, says that it is ready, and leaves; why it did not, where it did not.
import { GameWebSocket, VERSION } from '@code-racer/client';

const { URL: url, GAME, TOKEN } = process.env;
// No wait of a second or more ends here: what is told all the same waits for none, however fast the machine is.
const { setTimeout } = globalThis;
globalThis.setTimeout = (call, ms, ...rest) => (ms < 1_000 ? setTimeout(call, ms, ...rest) : setTimeout(call, 2 ** 30).unref());
const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const game = new GameWebSocket(GAME, TOKEN, { url, WebSocket });
game.on('welcome', async () => {
  const seq = await game.request('ready', { status: 'ready' });
  console.log(JSON.stringify({ version: VERSION, seq }));
  game.disconnect();
});
game.on('end', ({ code, detail }) => console.log(JSON.stringify({ code, detail })));
game.connect();
