/** Types of index.js. */
import type { GameWebSocket, GameWebSocketOptions } from './client.js';

export * from './client.js';

export class WebSocketPool {
  constructor(maxConnections?: number, options?: GameWebSocketOptions);
  readonly connections: Map<string, GameWebSocket>;
  getConnection(gameId: string, token: string): GameWebSocket;
  close(): void;
}
