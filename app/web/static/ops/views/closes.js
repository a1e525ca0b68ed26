/** The last closes and refusals, and what they mean in words. */
import { h } from '../dom.js';
import { at, duration, text, words } from '../format.js';
import { filters, gameLink, head, missingLine, playerLink, pill, replicaColumn, rowsOf, table } from '../parts.js';
import { ofAll, whose } from '../place.js';

const CALM = new Set(['normal', 'client_going_away', 'client_no_code', 'draining', 'connection_age', 'replaced', 'game_over']);

const levelOf = (row) => (row.kind === 'refusal' ? 'wait' : CALM.has(row.reason) ? 'good' : 'bad');

/** The columns of a list of closes, of one replica or of all; the few of a part of a view. */
export function closeColumns(query, isShort) {
  const all = [
    { name: 'At', cell: (row) => at(row.at) },
    { name: 'Player', cell: (row) => playerLink(row.player_id, row.name) },
    { name: 'Why', cell: (row) => [pill(row.reason, levelOf(row)), row.code && h('span', { class: 'hint' }, ` ${row.code}`)] },
    { name: 'By', cell: (row) => (row.kind === 'refusal' ? 'refused' : words(row.initiator)), isWide: true },
    { name: 'After', cell: (row) => duration(row.duration_s), isNumber: true, isLong: true },
    { name: 'Detail', cell: (row) => h('span', { class: 'prose' }, text(row.detail)), isWide: true, isLong: true },
    { name: 'Game', cell: (row) => gameLink(row.game_id), isWide: true, isLong: true },
    ...replicaColumn(query),
    { name: 'Client', cell: (row) => text(row.client), isWidest: true, isLong: true },
    { name: 'Address', cell: (row) => h('code', {}, text(row.address)), isWidest: true, isLong: true },
  ];
  return all.filter((column) => !(isShort && column.isLong));
}

/** What an end was, as a sentence. */
export function closeSentence(row) {
  const who = row.kind === 'refusal' ? 'was refused' : row.initiator === 'client' ? 'left' : row.initiator === 'server' ? 'was disconnected by the service' : 'lost the connection';
  const after = row.duration_s !== null && row.duration_s !== undefined ? ` after ${duration(row.duration_s)}` : '';
  return `${who}${after} (${words(row.reason)}${row.code ? `, ${row.code}` : ''})${row.detail ? `: ${row.detail}` : ''}`;
}

export const closes = {
  name: 'Closes',
  load: ({ query: { player, replica }, ask }) => ask('closes', { query: { player, limit: 200, ...ofAll({ replica }) } }),
  draw(answer, { query }) {
    return [
      head('Closes and refusals', `The last 200 of ${whose(query)}, the newest first.`),
      filters(query, [{ name: 'player', label: 'Player' }]),
      missingLine(answer),
      table({ caption: 'Closes and refusals', columns: closeColumns(query), rows: rowsOf(answer), empty: query.player ? 'None of this player.' : 'None yet.' }),
    ];
  },
};
