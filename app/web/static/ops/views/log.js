/** The last lines of the log, as they went out: without tokens and without code. */
import { h } from '../dom.js';
import { at, text } from '../format.js';
import { filters, head, missingLine, pill, playerLink, replicaColumn, rowsOf, table } from '../parts.js';
import { ofAll, whose } from '../place.js';

const LEVELS = { debug: null, info: null, warning: 'wait', error: 'bad', critical: 'bad' };
const SHOWN = new Set(['timestamp', 'event', 'level', 'player_id', 'replica', 'service.name', 'service.version', 'deployment.environment.name']);

export const log = {
  name: 'Log',
  load: ({ query: { event, level, replica }, ask }) => ask('log', { query: { event, level, limit: 100, ...ofAll({ replica }) } }),
  draw(answer, { query }) {
    return [
      head('Log', `The last lines that are kept by ${whose(query)}, the newest first.`),
      filters(query, [{ name: 'event', label: 'Event begins with' }, { name: 'level', label: 'Level', options: Object.keys(LEVELS) }]),
      missingLine(answer),
      table({
        caption: 'Log lines', rows: rowsOf(answer), empty: 'No line is like that.',
        columns: [
          { name: 'At', cell: (row) => at(row.timestamp) }, { name: 'Level', isWide: true, cell: (row) => pill(row.level, LEVELS[row.level]) },
          ...replicaColumn(query),
          { name: 'Event', cell: (row) => h('code', {}, text(row.event)) }, { name: 'Player', isWide: true, cell: (row) => playerLink(row.player_id) },
          { name: 'What else', cell: (row) => h('span', { class: 'prose hint' }, restOf(row)) },
        ],
      }),
    ];
  },
};

const restOf = (row) => Object.entries(row).filter(([name, value]) => !SHOWN.has(name) && value !== null && value !== '').map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`).join(' ');
