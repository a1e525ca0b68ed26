/**
 * The package: the client, and what keeps several of them. Its types are in index.d.ts.
 *
 * The client is whole without it: client.js imports nothing, so that it can be served, and loaded, as one file.
 */
import { GameWebSocket } from './client.js';

export * from './client.js';

/** Keeps at most `maxConnections` games connected; for one more, the oldest is disconnected. */
export class WebSocketPool {
  connections = new Map();

  constructor(maxConnections = 5, options = {}) {
    this.maxConnections = maxConnections;
    this.options = options;
  }

  /** The connection of a game: the one there is, or a new one, connecting. */
  getConnection(gameId, token) {
    const known = this.connections.get(gameId);
    if (known && known.state !== 'closed') return known;
    const connection = new GameWebSocket(gameId, token, this.options); // it may throw
    this.connections.delete(gameId);
    while (this.connections.size >= this.maxConnections) {
      const [id, oldest] = this.connections.entries().next().value;
      this.connections.delete(id);
      oldest.disconnect();
    }
    this.connections.set(gameId, connection);
    connection.connect();
    return connection;
  }

  /** Disconnect all. */
  close() {
    for (const connection of this.connections.values()) connection.disconnect();
    this.connections.clear();
  }
}
