/** The settings as they are in force. */
import { h } from '../dom.js';
import { text } from '../format.js';
import { filters, head, pill, rowsOf, table } from '../parts.js';
import { ofOne } from '../place.js';

export const settings = {
  name: 'Settings', everyMs: null,
  load: ({ query, ask }) => ask('settings', { query: ofOne(query) }),
  draw(answer, { query }) {
    const all = rowsOf(answer);
    const wanted = (query.name ?? '').toUpperCase();
    const rows = all.filter((row) => row.name.includes(wanted) && (query.only !== 'changed' || !row.is_default));
    return [
      head('Settings', `${all.length}, of which ${all.filter((row) => !row.is_default).length} are not as they come. Secrets are shown as fingerprints.`),
      filters(query, [{ name: 'name', label: 'Name' }, { name: 'only', label: 'Which', any: 'all', options: [['changed', 'set otherwise']] }]),
      table({
        caption: 'Settings', rows, key: (row) => row.name, empty: 'None is like that.',
        columns: [
          { name: 'Name', cell: (row) => h('code', {}, row.name) }, { name: 'Value', cell: (row) => h('code', { class: 'prose' }, text(row.value)) },
          { name: 'From', isWide: true, cell: (row) => (row.is_default ? h('span', { class: 'hint' }, 'default') : pill('set', 'wait')) },
          { name: 'What it is', isWide: true, cell: (row) => h('span', { class: 'prose' }, text(row.description)) },
        ],
      }),
    ];
  },
};
