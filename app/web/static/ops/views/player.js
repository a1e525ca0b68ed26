/** A player: who is this, where is she, and why was she disconnected. */
import { LONG_MS } from '../api.js';
import { act } from '../dialogs.js';
import { h } from '../dom.js';
import { ago, at, count, many, text } from '../format.js';
import { button, card, gameLink, head, missingLine, nothing, pill, replicaColumn, table } from '../parts.js';
import { ofAll, ofOne } from '../place.js';
import { closeColumns, closeSentence } from './closes.js';
import { columnsOf } from './connections.js';
import { removeButton } from './games.js';
import { traceButton } from './trace.js';

const BAN_TIMES = [[600, '10 minutes'], [3600, 'an hour'], [86_400, 'a day'], [604_800, 'a week'], ['', 'for good']];

export const player = {
  name: 'Player', parent: 'connections',
  load: ({ id, query, ask }) => ask(`players/${encodeURIComponent(id)}`, { query: ofAll(query) }),
  draw({ connections: open, games, ends, ban, missing }, { id, query, mayAct, reload }) {
    const name = [...open, ...ends].find((row) => row.name)?.name;
    return [
      head(name || id, [h('code', {}, id), ' ', ban ? pill('banned', 'bad') : pill(open.length ? 'connected' : 'not connected', open.length ? 'good' : 'wait')], mayAct && actions(id, open, ban, ofOne(query), reload)),
      missingLine({ missing }),
      card('Why was she disconnected?', ends.length ? why(ends) : nothing('Nobody knows of an end of a connection, or of a refusal: she has not been here lately.')),
      ban && card('Banned', h('p', {}, ban.until ? ['Until ', at(ban.until)] : 'For good', ban.reason && `: ${ban.reason}`, ` (by ${ban.by}).`)),
      card('Connections', table({ caption: 'Connections of this player', columns: columnsOf(query).map((column) => ({ ...column, sort: undefined })), rows: open, key: (row) => row.connection_id, empty: 'None.' })),
      card('Games', table({
        caption: 'Games of this player', rows: games, key: (row) => `${row.replica} ${row.game_id}`, empty: 'None.',
        columns: [
          { name: 'Game', cell: (row) => gameLink(row.game_id) }, ...replicaColumn(query), { name: 'Phase', cell: (row) => pill(row.phase) },
          { name: 'Problem', isWide: true, cell: (row) => text(row.problem) }, { name: 'Players', isNumber: true, cell: (row) => count(row.players) },
          mayAct && { name: 'Do', cell: (row) => row.phase !== 'finished' && removeButton(row.game_id, { player_id: id, name }, reload) },
        ].filter(Boolean),
      })),
      ends.length > 0 && card('Ends and refusals', table({ caption: 'Ends and refusals of this player', columns: closeColumns(query), rows: ends })),
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

function actions(id, open, ban, query, done) {
  const path = `players/${encodeURIComponent(id)}`;
  const close = button('Close all…', () => act({ title: `Close all connections of ${id}`, text: `${count(open.length)} are known; each is disconnected, on every replica.`, verb: 'Close them', isGrave: true, path: `${path}/close`, query, fields: [{ name: 'comes_back', label: 'Tell the client to come back', type: 'checkbox', value: true }], done }));
  const shut = button('Ban…', () => act({ title: `Ban ${id}`, text: 'Refused by every replica, whatever token is brought; who is connected is disconnected.', verb: 'Ban', isGrave: true, path: `bans/${encodeURIComponent(id)}`, method: 'PUT', fields: [{ name: 'for_s', label: 'For', options: BAN_TIMES, value: 3600, isNumber: true }], done }));
  const erase = button('Erase…', () => act({ title: `Erase ${id}`, text: 'The name and the code of this player go from the games that are kept. It cannot be taken back; the answer says what cannot be erased.', verb: 'Erase', isGrave: true, path: `${path}/erase`, patienceMs: LONG_MS, done, said: erased }));
  return [traceButton({ player: id }, {}, done), open.length > 0 && close, ban ? unbanButton(id, done) : shut, erase];
}

function erased({ games, going_on: goingOn, failed, stays, missing = [] }) {
  const left = [goingOn.length > 0 && `${many(goingOn.length, 'game goes', 'games go')} on`, failed.length > 0 && `${many(failed.length, 'game')} could not be written`, missing.length > 0 && `not on ${missing.join(', ')}: erase again`, ...stays].filter(Boolean);
  return `In ${many(games, 'game')}.${left.length ? ` Not erased: ${left.join('; ')}.` : ''}`;
}

export const unbanButton = (id, done) => button('Unban…', () => act({ title: `Unban ${id}`, text: 'May connect again.', verb: 'Unban', path: `bans/${encodeURIComponent(id)}`, method: 'DELETE', done }));

