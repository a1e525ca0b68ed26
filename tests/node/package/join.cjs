// The same as join.mjs, through a pool, with the package as it is required.
const { VERSION, WebSocketPool } = require('@code-racer/client');

const { URL: url, GAME, TOKEN } = process.env;
const WebSocket = globalThis.WebSocket ?? require('ws');
const game = new WebSocketPool(1, { url, WebSocket }).getConnection(GAME, TOKEN);
game.on('welcome', async () => {
  const seq = await game.request('ready', { status: 'ready' });
  console.log(JSON.stringify({ version: VERSION, seq }));
  game.disconnect();
});
game.on('end', ({ code, detail }) => console.log(JSON.stringify({ code, detail })));
