/** The events of a game as lines: who did what when. The code of players is not in them. */
import { h } from '../dom.js';
import { at, count, duration, moment, text, words } from '../format.js';
import { nothing, playerLink, rowsOf } from '../parts.js';
import { but } from '../place.js';

/** One page of a game's log, of `limit` events, and the ways to the others; each event has the time since the one before. */
export function timeline(answer, names, limit) {
  const rows = rowsOf(answer);
  if (!rows.length) return nothing('No (more) events.');
  const { next, total } = answer;
  const before = rows[0].seq - 1;
  const end = Math.max(0, total - limit);
  const link = (label, after, rel) => h('a', { class: 'button', rel, href: but({ after: after || undefined }) }, label);
  return [
    eventLines(rows, names),
    h('p', { class: 'ways' },
      before > 0 && [link('From the beginning', 0), link('What came before', Math.max(0, before - limit), 'prev')],
      next && [link('What came next', next, 'next'), link('To the end', end)],
      (before > 0 || next) && h('span', { class: 'hint' }, `${count(before + 1)} to ${count(before + rows.length)} of ${count(total)}`)),
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
