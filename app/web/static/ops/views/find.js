/** What an id is of: a player's, a game's or a connection's. */
import { tried } from '../api.js';
import { h } from '../dom.js';
import { head, nothing, rowsOf } from '../parts.js';
import { ofOne, to } from '../place.js';

const KINDS = ['connection', 'game', 'player'];

const isKnown = (kind, { value }) => Boolean(value) && (kind !== 'player' || ['connections', 'games'].some((name) => rowsOf(value[name]).length > 0));

export const find = {
  name: 'Find', parent: 'connections', everyMs: null,
  async load({ id, query, ask }) {
    const answers = await Promise.all(KINDS.map((kind) => tried(ask(`${kind}s/${encodeURIComponent(id)}`, { query: ofOne(query) }))));
    const found = KINDS.filter((kind, index) => isKnown(kind, answers[index]));
    if (found.length === 1) location.replace(to(found[0], id));
    return found;
  },
  draw(found, { id, query }) {
    return [
      head(['What is ', h('code', {}, id)]),
      found.length ? h('ul', {}, found.map((kind) => h('li', {}, h('a', { href: to(kind, id) }, `The ${kind}`))))
        : nothing(['No connection, game or player of this replica has this id. ', !query.replica && 'Names are found in ', !query.replica && h('a', { href: to('connections', '', { player: id, replica: 'all' }) }, 'the connections of all replicas'), !query.replica && '.']),
    ];
  },
};
