/** Who changed what, and whom nobody lets in. */
import { h } from '../dom.js';
import { at, text, words } from '../format.js';
import { card, head, missingLine, nothing, pager, playerLink, pill, replicaColumn, rowsOf, table } from '../parts.js';
import { ofAll, whose } from '../place.js';
import { unbanButton } from './player.js';

const LEVELS = { done: 'good', gone: 'wait', refused: 'bad', failed: 'bad' };

export const changes = {
  name: 'Who changed what',
  load: ({ query, ask }) => ask('actions', { query: { limit: 200, ...ofAll(query) } }),
  draw(answer, { query, self }) {
    const raised = self.raised ?? [];
    return [
      head('Who changed what', `What operators did lately by way of ${whose(query)}, the newest first; all of it is in the log too, as operator.acted.`),
      card('In force for a time', raised.length ? h('ul', {}, raised.map((one) => h('li', {}, words(one.what), ' until ', at(one.until), one.by && `, by ${one.by}`))) : nothing('Nothing.')),
      missingLine(answer),
      table({
        caption: 'What operators did', rows: rowsOf(answer), empty: 'Nobody has changed anything since the start.',
        columns: [
          { name: 'At', cell: (row) => at(row.at) }, ...replicaColumn(query),
          { name: 'Who', cell: (row) => text(row.operator) }, { name: 'What', cell: (row) => words(row.action) },
          { name: 'To', cell: (row) => h('code', {}, text(row.subject)) }, { name: 'Why', cell: (row) => h('span', { class: 'prose' }, text(row.reason)) }, { name: 'Detail', isWide: true, cell: (row) => h('span', { class: 'prose' }, text(row.detail)) },
          { name: 'Outcome', cell: (row) => pill(row.outcome, LEVELS[row.outcome]) },
        ],
      }),
    ];
  },
};

export const bans = {
  name: 'Bans',
  load: ({ query: { after }, ask }) => ask('bans', { query: { after } }),
  draw(answer, { query, mayAct, reload }) {
    return [
      head('Bans', 'Refused by every replica, whatever token is brought. The newest are first.'),
      pager(answer, query, 'bans'),
      table({
        caption: 'Bans', rows: rowsOf(answer), key: (row) => row.player_id ?? row.sub, empty: 'Nobody is banned.',
        columns: [
          { name: 'Player', cell: (row) => playerLink(row.player_id ?? row.sub) }, { name: 'Until', cell: (row) => (row.until ? at(row.until) : 'for good') },
          { name: 'Since', isWide: true, cell: (row) => at(row.at ?? row.since) }, { name: 'By', cell: (row) => text(row.by ?? row.operator) }, { name: 'Why', cell: (row) => text(row.reason) },
          mayAct && { name: 'Do', cell: (row) => unbanButton(row.player_id ?? row.sub, reload) },
        ].filter(Boolean),
      }),
    ];
  },
};
