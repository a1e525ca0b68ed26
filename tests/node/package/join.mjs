// Joins a game with the package as it is imported, says that it is ready, and leaves; why it did not, where it did not.
import { GameWebSocket, VERSION } from '@code-racer/client';

const { URL: url, GAME, TOKEN, OPEN_TIMEOUT_MS } = process.env;
const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const game = new GameWebSocket(GAME, TOKEN, { url, WebSocket, openTimeoutMs: Number(OPEN_TIMEOUT_MS ?? 10_000) });
game.on('welcome', async () => {
  const seq = await game.request('ready', { status: 'ready' });
  console.log(JSON.stringify({ version: VERSION, seq }));
  game.disconnect();
});
game.on('end', ({ code, detail }) => console.log(JSON.stringify({ code, detail })));
game.connect();
