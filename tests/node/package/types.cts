// Compiled as CommonJS against the package, never run.
import client = require('@code-racer/client');
import http = require('@code-racer/client/http');
import presence = require('@code-racer/client/presence');

const game: client.GameWebSocket = new client.GameWebSocket('id', 'token', { giveUpAfterMs: 0 });
game.on('game_finished', ({ data }) => { const winner: string | null = data.winner; void winner; });
// @ts-expect-error: there is no such message
game.sendMessage('redy', {});
/** The declarations of the three modules are of one client. */
export const here = new presence.Presence(game);
export const api = new http.Api('https://race.example.org');
