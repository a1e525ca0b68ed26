/** The events of a game as lines: who did what when. The code of players is not in them. */
import { h } from '../dom.js';
import { at, duration, moment, text, words } from '../format.js';
import { nothing, playerLink, rowsOf } from '../parts.js';
import { but } from '../place.js';

/** One page of a game's log, and the way to the next; each event has the time since the one before. */
export function timeline(answer, query, names) {
  const rows = rowsOf(answer);
  if (!rows.length) return nothing('No (more) events.');
  const { next } = answer;
  return [
    eventLines(rows, names),
    h('p', { class: 'ways' }, query.after && h('a', { class: 'button', rel: 'prev', href: but({ after: undefined }) }, 'From the beginning'), next && h('a', { class: 'button', rel: 'next', href: but({ after: next }) }, 'What came next')),
  ];
}

/** Draw events as a list, one a line; `names` are the players', by their ids. */
export const eventLines = (rows, names) => h('ol', { class: 'timeline' }, rows.map((row, index) => eventLine(row, rows[index - 1], names.get(row.player_id))));

function eventLine(row, before, name) {
  return h('li', { 'data-key': `event ${row.seq}`, 'data-level': levelOf(row.type, row.data) },
    h('span', { class: 'seq' }, `${row.seq}`), at(row.at), h('span', { class: 'gap' }, before ? `+${duration((moment(row.at) - moment(before.at)) / 1000)}` : ''),
    h('strong', {}, words(row.type)), ' ', row.player_id && playerLink(row.player_id, name), ' ', h('span', { class: 'hint' }, summaryOf(row.data ?? {})));
}

function levelOf(type, { verdict } = {}) {
  if (type === 'game_finished' || verdict === 'accepted') return 'good';
  if (type === 'player_disconnected' || type === 'player_left') return 'bad';
  return type?.startsWith('game_') ? 'wait' : null;
}

const summaryOf = (data) => Object.entries(data).filter(([key, value]) => key !== 'name' && value !== null && typeof value !== 'object').map(([key, value]) => `${words(key)} ${text(value)}`).join(', ');
