/**
 * Who is in the game, and whether they are connected: kept from the snapshot in `welcome` and the events after it.
 *
 * `new Presence(game)` before `game.connect()`; its types are in presence.d.ts.
 */

/** What an event changes. */
const CHANGES = {
  welcome: (players, { game, resumed }) => {
    if (resumed && players.size) return; // what was missed follows, event by event
    players.clear();
    for (const { player_id, name, status, ready, connected } of game.players) {
      if (status === 'active') players.set(player_id, { player_id, name, ready, connected });
    }
  },
  player_joined: (players, { player_id, name }) => players.set(player_id, { player_id, name, ready: false, connected: true }),
  player_ready: (players, { player_id, status }) => change(players, player_id, { ready: status === 'ready' }),
  player_disconnected: (players, { player_id }) => change(players, player_id, { connected: false }),
  player_reconnected: (players, { player_id }) => change(players, player_id, { connected: true }),
  player_left: (players, { player_id }) => players.delete(player_id),
};

/** One is replaced, not changed: whoever compares by identity sees it. */
function change(players, id, what) {
  if (players.has(id)) players.set(id, { ...players.get(id), ...what });
}

/** Those in the game, in the order in which they came; `onChange(players)` is called with each change. */
export class Presence {
  #players = new Map();

  #stop;

  constructor(game, onChange) {
    const handlers = Object.entries(CHANGES).map(([type, apply]) => [type, ({ data }) => {
      apply(this.#players, data);
      onChange?.(this.players);
    }]);
    for (const [type, handler] of handlers) game.on(type, handler);
    this.#stop = () => { for (const [type, handler] of handlers) game.off(type, handler); };
  }

  /** All of them. */
  get players() { return [...this.#players.values()]; }

  /** One of them. */
  get(playerId) { return this.#players.get(playerId); }

  /** Listen no more. */
  close() { this.#stop(); }
}
