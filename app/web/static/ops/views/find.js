/** What is meant: an id of a player, a game or a connection, or the name of a player, whom several may share. */
import { tried } from '../api.js';
import { h } from '../dom.js';
import { card, gameLink, head, missingLine, nothing, pager, playerLink, pill, replicaColumn, table } from '../parts.js';
import { ofAll, ofConnection, to } from '../place.js';

const lower = (name) => (name ?? '').trim().toLowerCase();
const KINDS = ['connection', 'game', 'player'];

const isKnown = (kind, { value }) => Boolean(value) && (kind !== 'player' || value.ban || ['connections', 'games', 'ends'].some((name) => value[name].length > 0));

export const find = {
  name: 'Find', parent: 'connections', everyMs: null,
  async load({ id, query, ask }) {
    const where = { connection: ofConnection(id, query), game: {}, player: ofAll(query) };
    const [players, ...answers] = await Promise.all([
      ask('players', { query: { player: id, after: query.after, ...ofAll(query) } }),
      ...KINDS.map((kind) => tried(ask(`${kind}s/${encodeURIComponent(id)}`, { query: where[kind] }))),
    ]);
    const found = KINDS.filter((kind, index) => isKnown(kind, answers[index]));
    const named = players.rows.filter((row) => lower(row.name) === lower(id));
    if (found.length === 1) location.replace(to(found[0], id));
    else if (!found.length && named.length === 1 && !query.after) location.replace(to('player', named[0].player_id));
    return { found, players };
  },
  draw({ found, players }, { id, query }) {
    return [
      head(['What is ', h('code', {}, id)]),
      missingLine(players),
      found.length > 0 && h('ul', {}, found.map((kind) => h('li', {}, h('a', { href: to(kind, id) }, `The ${kind}`)))),
      players.rows.length > 0 && card('Players of this name', pager(players, query, 'players'), table({
        caption: 'Players whose name or id has this part', rows: players.rows, key: (row) => row.player_id,
        columns: [
          { name: 'Player', cell: (row) => playerLink(row.player_id, row.name) }, { name: 'Id', cell: (row) => h('code', {}, row.player_id) },
          { name: 'Is', cell: (row) => pill(row.connections ? 'connected' : 'not connected', row.connections ? 'good' : 'wait') },
          { name: 'Game', cell: (row) => gameLink(row.game_id), isWide: true }, ...replicaColumn({ replica: query.replica ?? 'all' }),
        ],
      })),
      !found.length && !players.rows.length && nothing('No connection, game or player is known by this id or name.'),
    ].filter(Boolean);
  },
};
