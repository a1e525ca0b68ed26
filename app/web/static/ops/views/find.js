/** What an id is of: a player's, a game's or a connection's. */
import { tried } from '../api.js';
import { h } from '../dom.js';
import { head, nothing } from '../parts.js';
import { ofAll, ofConnection, to } from '../place.js';

const KINDS = ['connection', 'game', 'player'];

const isKnown = (kind, { value }) => Boolean(value) && (kind !== 'player' || value.ban || ['connections', 'games', 'ends'].some((name) => value[name].length > 0));

export const find = {
  name: 'Find', parent: 'connections', everyMs: null,
  async load({ id, query, ask }) {
    const where = { connection: ofConnection(id, query), game: {}, player: ofAll(query) };
    const answers = await Promise.all(KINDS.map((kind) => tried(ask(`${kind}s/${encodeURIComponent(id)}`, { query: where[kind] }))));
    const found = KINDS.filter((kind, index) => isKnown(kind, answers[index]));
    if (found.length === 1) location.replace(to(found[0], id));
    return found;
  },
  draw(found, { id, query }) {
    return [
      head(['What is ', h('code', {}, id)]),
      found.length ? h('ul', {}, found.map((kind) => h('li', {}, h('a', { href: to(kind, id) }, `The ${kind}`))))
        : nothing(['No connection, game or player is known by this id. ', !query.replica && 'A part of one is looked for in ', !query.replica && h('a', { href: to('connections', '', { player: id, replica: 'all' }) }, 'the connections of all replicas'), !query.replica && '.']),
    ];
  },
};
