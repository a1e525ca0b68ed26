/** The connections, the ones that hurt first; and one of them. */
import { act } from '../dialogs.js';
import { h } from '../dom.js';
import { ago, at, bytes, count, duration, text, words } from '../format.js';
import { button, card, connectionLink, facts, filters, gameLink, head, missingLine, pager, playerLink, pill, replicaColumn, rowsOf, table } from '../parts.js';
import { ofConnection, ofAll } from '../place.js';
import { traceButton } from './trace.js';

const STATES = ['joining', 'open', 'closing'];
const SLOW_RTT_S = 0.5;
const DEEP_BYTES = 65_536;

const outboxLevel = (row) => (row.outbox_bytes > DEEP_BYTES ? 'bad' : row.outbox_bytes > 0 ? 'wait' : null);

/** The columns of a list of connections; the few of a part of a view. */
export function columnsOf(query, isShort) {
  const all = [
    { name: 'Player', cell: (row) => h('span', { class: 'who' }, connectionName(row)) },
    ...replicaColumn(query),
    { name: 'State', cell: (row) => pill(row.state, row.state === 'open' ? 'good' : 'wait'), isWide: true, isLong: true },
    { name: 'Game', cell: (row) => gameLink(row.game_id), isWide: true },
    { name: 'Outbox', sort: 'outbox', isNumber: true, cell: (row) => bytes(row.outbox_bytes), level: outboxLevel },
    { name: 'Errors', sort: 'errors', isNumber: true, cell: (row) => count(row.errors), level: (row) => (row.errors > 0 ? 'bad' : null) },
    { name: 'Round trip', sort: 'rtt', isNumber: true, cell: (row) => duration(row.rtt_s), level: (row) => (row.rtt_s > SLOW_RTT_S ? 'wait' : null) },
    { name: 'Messages', sort: 'messages', isNumber: true, isWide: true, cell: (row) => `${count(row.messages_in)} / ${count(row.messages_out)}`, isLong: true },
    { name: 'Bytes', sort: 'bytes', isNumber: true, isWide: true, cell: (row) => `${bytes(row.bytes_in)} / ${bytes(row.bytes_out)}`, isLong: true },
    { name: 'Age', sort: 'age', isNumber: true, cell: (row) => duration(row.age_s), isLong: true },
    { name: 'Client', cell: (row) => text(row.client), isWidest: true, isLong: true },
    { name: 'Address', cell: (row) => h('code', {}, text(row.address)), isWidest: true, isLong: true },
  ];
  return isShort ? all.filter((column) => !column.isLong).map((column) => ({ ...column, sort: undefined })) : all;
}

/** A connection goes by its player's name: the link leads to the connection. */
function connectionName(row) {
  const link = connectionLink(row.connection_id);
  if (row.name || row.player_id) link.replaceChildren(row.name || row.player_id);
  return link;
}

export const connections = {
  name: 'Connections',
  load: ({ query: { replica, page, ...asked }, ask }) => ask('connections', { query: { limit: 50, ...asked, ...ofAll({ replica }) } }),
  draw(answer, { query }) {
    return [
      head('Connections', 'What hurts is first: who is behind, who errs, who is far away.'),
      filters(query, [
        { name: 'player', label: 'Player' }, { name: 'address', label: 'Address' }, { name: 'client', label: 'Client' }, { name: 'game', label: 'Game' },
        { name: 'state', label: 'State', options: STATES },
      ]),
      missingLine(answer),
      pager({ ...answer, rows: rowsOf(answer) }, query, 'connections'),
      table({ caption: 'Connections', columns: columnsOf(query), rows: rowsOf(answer), key: (row) => row.connection_id, query, first: 'hurt', empty: 'No connection is like that.' }),
    ];
  },
};

export const connection = {
  name: 'Connection', parent: 'connections',
  load: ({ id, query, ask }) => ask(`connections/${encodeURIComponent(id)}`, { query: ofConnection(id, query) }),
  draw(row, { id, query, mayAct, reload }) {
    return [
      head(`Connection of ${row.name || row.player_id || 'nobody yet'}`, [pill(row.state, row.state === 'open' ? 'good' : 'wait'), ' for ', duration(row.age_s), `, on ${text(row.replica)}`],
        mayAct && [traceButton({ connection: id }, ofConnection(id, query), reload), closeButton(row, ofConnection(id, query), reload)]),
      h('div', { class: 'columns' },
        card('Who', facts([
          ['player', playerLink(row.player_id, row.name)], ['player id', h('code', {}, text(row.player_id))], ['in the game', [row.joined ? 'plays in ' : 'looks at ', gameLink(row.game_id)]],
          ['client', text(row.client)], ['address', h('code', {}, text(row.address))], ['connection', h('code', {}, text(row.connection_id))],
        ])),
        card('How it is', facts([
          ['since', [at(row.since), `, ${ago(row.since)}`]], ['round trip', duration(row.rtt_s)],
          ['outbox now', h('span', { 'data-level': outboxLevel(row) }, bytes(row.outbox_bytes))], ['outbox at its deepest', bytes(row.outbox_deepest_bytes)],
          ['discarded', count(row.discarded)], ['errors', h('span', { 'data-level': row.errors > 0 ? 'bad' : null }, count(row.errors))], ['last error', words(row.last_error)],
        ])),
        card('What it has carried', facts([
          ['messages in', count(row.messages_in)], ['messages out', count(row.messages_out)], ['bytes in', bytes(row.bytes_in)], ['bytes out', bytes(row.bytes_out)],
          ['trace', h('code', {}, text(row.trace_id))],
        ]))),
    ];
  },
};

export function closeButton(row, query, done) {
  return button('Close it…', () => act({
    title: 'Close this connection', text: `${row.name || row.player_id || 'It'} is disconnected. Whoever is told to come back does so at once.`, verb: 'Close it', isGrave: true,
    path: `connections/${encodeURIComponent(row.connection_id)}/close`, query, fields: [{ name: 'comes_back', label: 'Tell the client to come back', type: 'checkbox', value: true }], done,
  }));
}
