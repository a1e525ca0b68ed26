/** A player: who is this, where is she, and why was she disconnected. */
import { tried } from '../api.js';
import { act } from '../dialogs.js';
import { h } from '../dom.js';
import { ago, at, count, text } from '../format.js';
import { button, card, gameLink, head, nothing, pill, problemLine, rowsOf, table } from '../parts.js';
import { ofOne, to } from '../place.js';
import { closeColumns, closeSentence } from './closes.js';
import { columnsOf } from './connections.js';
import { removeButton } from './games.js';
import { traceButton } from './trace.js';

const BAN_TIMES = [[600, '10 minutes'], [3600, 'an hour'], [86_400, 'a day'], [604_800, 'a week'], ['', 'for good']];

export const player = {
  name: 'Player', parent: 'connections',
  async load({ id, query, ask }) {
    const one = ofOne(query);
    const [answer, closes, bans] = await Promise.all([
      ask(`players/${encodeURIComponent(id)}`, { query: one }), tried(ask('closes', { query: { ...one, player: id } })), tried(ask('bans', { query: one })),
    ]);
    return { answer, closes, bans: rowsOf(bans.value).filter((ban) => ban.player_id === id) };
  },
  draw({ answer, closes, bans }, { id, query, mayAct, reload }) {
    const open = rowsOf(answer.connections);
    const ends = rowsOf(closes.value);
    const name = answer.name ?? open.find((row) => row.name)?.name;
    return [
      head(name || id, [h('code', {}, id), ' ', bans.length ? pill('banned', 'bad') : pill(open.length ? 'connected' : 'not connected here', open.length ? 'good' : 'wait')], mayAct && actions(id, open, bans, ofOne(query), reload)),
      card('Why was she disconnected?', closes.problem ? problemLine(closes.problem) : ends.length ? why(ends) : nothing('This replica knows of no end of a connection and of no refusal.'), h('p', { class: 'hint' }, 'Each replica knows what came to it: ', h('a', { href: to('closes', '', { player: id, replica: 'all' }) }, 'the last ends on all replicas'), '.')),
      bans.length > 0 && card('Banned', h('ul', {}, bans.map((one) => h('li', {}, one.until ? ['until ', at(one.until)] : 'for good', one.reason && `: ${one.reason}`, one.by && ` (by ${one.by})`)))),
      card('Connections', table({ caption: 'Connections of this player', columns: columnsOf({}).map((column) => ({ ...column, sort: undefined })), rows: open, key: (row) => row.connection_id, empty: 'None on this replica.' })),
      card('Games', table({
        caption: 'Games of this player', rows: rowsOf(answer.games), key: (row) => row.game_id, empty: 'None on this replica.',
        columns: [
          { name: 'Game', cell: (row) => gameLink(row.game_id) }, { name: 'Phase', cell: (row) => pill(row.phase) },
          { name: 'Problem', isWide: true, cell: (row) => text(row.problem) }, { name: 'Players', isNumber: true, cell: (row) => count(row.players) },
          mayAct && { name: 'Do', cell: (row) => row.phase !== 'finished' && removeButton(row.game_id, { player_id: id, name }, ofOne(query), reload) },
        ].filter(Boolean),
      })),
      ends.length > 0 && card('Ends and refusals', table({ caption: 'Ends and refusals of this player', columns: closeColumns({}), rows: ends })),
    ];
  },
};

/** The last end, as a sentence, and where the client is from. */
function why(ends) {
  const [last] = ends;
  const same = ends.filter((row) => row.reason === last.reason).length;
  return [
    h('p', { class: 'answer' }, ago(last.at), ' she ', closeSentence(last), '.'),
    h('p', { class: 'hint' }, same > 1 && `${same} of the last ${ends.length} ended so. `, 'Client ', text(last.client), ', from ', h('code', {}, text(last.address)), last.game_id && [', in game ', gameLink(last.game_id)], '.'),
  ];
}

function actions(id, open, bans, query, done) {
  const path = `players/${encodeURIComponent(id)}`;
  const close = button('Close all…', () => act({ title: `Close all connections of ${id}`, text: `${count(open.length)} here; each is disconnected.`, verb: 'Close them', isGrave: true, path: `${path}/close`, query, fields: [{ name: 'comes_back', label: 'Tell the client to come back', type: 'checkbox', value: true }], done }));
  const ban = button('Ban…', () => act({ title: `Ban ${id}`, text: 'Refused by every replica, whatever token is brought; who is connected is disconnected.', verb: 'Ban', isGrave: true, path: `bans/${encodeURIComponent(id)}`, method: 'PUT', fields: [{ name: 'for_s', label: 'For', options: BAN_TIMES, value: 3600, isNumber: true }], done }));
  const erase = button('Erase…', () => act({ title: `Erase ${id}`, text: 'The name and the code of this player go from the games that are kept. It cannot be taken back; the answer says what cannot be erased.', verb: 'Erase', isGrave: true, path: `${path}/erase`, query, done }));
  return [traceButton({ player: id }, query, done), open.length > 0 && close, bans.length ? unbanButton(id, done) : ban, erase];
}

export const unbanButton = (id, done) => button('Unban…', () => act({ title: `Unban ${id}`, text: 'May connect again.', verb: 'Unban', path: `bans/${encodeURIComponent(id)}`, method: 'DELETE', done }));

