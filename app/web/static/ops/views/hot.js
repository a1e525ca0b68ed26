/** Who does the most, who is behind, what is slow. */
import { h } from '../dom.js';
import { at, bytes, count, duration, text, words } from '../format.js';
import { bar, connectionLink, gameLink, head, missingLine, playerLink, replicaColumn, rowsOf, table } from '../parts.js';
import { but, ofAll } from '../place.js';

const MEASURES = { messages: 'Messages', bytes: 'Bytes', outbox: 'Outbox', errors: 'Errors', reconnects: 'Reconnects', refusals: 'Refusals' };
const KINDS = { messages: ['connection', 'player', 'game', 'address'], bytes: ['connection', 'player', 'game', 'address'], outbox: ['connection', 'player', 'game', 'address'], errors: ['connection', 'player', 'game', 'address'], reconnects: ['player', 'address'], refusals: ['address'] };
const IN_BYTES = new Set(['bytes', 'outbox']);

/** What is asked for, of what there is. */
function asked({ by, kind }) {
  const measure = by in MEASURES ? by : 'messages';
  return { by: measure, kind: KINDS[measure].includes(kind) ? kind : KINDS[measure][0] };
}

function nameOf({ kind, key, player_id: playerId }) {
  if (kind === 'player') return playerLink(key);
  if (kind === 'game') return gameLink(key);
  if (kind !== 'connection') return h('code', {}, text(key));
  const link = connectionLink(key);
  if (playerId) link.replaceChildren(playerId);
  return link;
}

const tabs = (label, words_, chosen, change) => h('ul', { class: 'tabs', 'aria-label': label }, words_.map(([word, name]) => h('li', {}, h('a', { href: but(change(word)), 'aria-current': word === chosen ? 'true' : null }, name))));

export const hot = {
  name: 'Hot',
  load: ({ query, ask }) => ask('hot', { query: { ...asked(query), ...ofAll(query) } }),
  draw(answer, { query }) {
    const { by, kind } = asked(query);
    const rows = rowsOf(answer);
    const most = Math.max(1, ...rows.map((row) => row.count));
    const shown = IN_BYTES.has(by) ? bytes : count;
    return [
      head('Hot lists', 'The twenty that lead. Where a count may be too high, that is said beside it.'),
      missingLine(answer),
      tabs('By what', Object.entries(MEASURES), by, (word) => ({ by: word, kind: undefined })),
      KINDS[by].length > 1 && tabs('Whose', KINDS[by].map((word) => [word, `by ${word}`]), kind, (word) => ({ kind: word })),
      table({
        caption: `Hot by ${MEASURES[by].toLowerCase()}`, rows, key: (row) => `${row.kind} ${row.key} ${row.replica}`, empty: 'Nothing is hot.',
        columns: [
          { name: words(kind), cell: nameOf },
          ...replicaColumn(query),
          { name: MEASURES[by], isNumber: true, cell: (row) => [shown(row.count), ' ', bar(row.count, most)] },
          { name: 'Too high by at most', isNumber: true, isWide: true, cell: (row) => (row.error_bound ? shown(row.error_bound) : '–') },
          { name: 'Game', isWide: true, cell: (row) => gameLink(row.game_id) },
          { name: 'Address', isWide: true, cell: (row) => h('code', {}, text(row.address)) },
        ],
      }),
    ];
  },
};

function connectionLinkNamed(row) {
  const link = connectionLink(row.connection_id);
  if (row.connection_id) link.replaceChildren(words(row.type));
  return link;
}

export const slow = {
  name: 'Slow messages',
  load: ({ query, ask }) => ask('slow', { query: ofAll(query) }),
  draw(answer, { query }) {
    return [
      head('Slow messages', `The slowest 50 of the last hour or two that took ${duration(answer.slow_s)} or more, each with its trace.`),
      missingLine(answer),
      table({
        caption: 'Slow messages', rows: rowsOf(answer), empty: 'None yet.',
        columns: [
          { name: 'At', cell: (row) => at(row.at) }, { name: 'Message', cell: (row) => connectionLinkNamed(row) },
          ...replicaColumn(query),
          { name: 'Took', isNumber: true, cell: (row) => duration(row.duration_s) }, { name: 'Outcome', isWide: true, cell: (row) => words(row.outcome) },
          { name: 'Player', cell: (row) => playerLink(row.player_id) }, { name: 'Game', isWide: true, cell: (row) => gameLink(row.game_id) },
          { name: 'Trace', isWide: true, cell: (row) => h('code', {}, text(row.trace_id)) },
        ],
      }),
    ];
  },
};
