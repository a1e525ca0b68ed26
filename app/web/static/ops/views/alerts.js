/** The alerts that fire, each with what to do about it. */
import { tried } from '../api.js';
import { h } from '../dom.js';
import { ago, many, text } from '../format.js';
import { head, nothing, part, pill, rowsOf } from '../parts.js';
import { but, to } from '../place.js';
import { drawnRunbook } from '../runbook.js';

const LEVELS = { page: 'bad', critical: 'bad', ticket: 'wait', warning: 'wait', info: null };

/** A line that says that alerts fire, where some do. */
export function alertLine(rows) {
  if (!rows.length) return null;
  return h('p', { class: 'warning' }, h('a', { href: to('alerts') }, `${many(rows.length, 'alert')}: ${[...new Set(rows.map((row) => row.name))].join(', ')}`));
}

export const alerts = {
  name: 'Alerts',
  async load({ query, ask }) {
    const [firing, runbook] = await Promise.all([ask('alerts'), query.runbook ? tried(ask(`runbooks/${encodeURIComponent(query.runbook)}`)) : null]);
    return { firing, runbook };
  },
  draw({ firing, runbook }, { query }) {
    const rows = rowsOf(firing);
    return [
      head('Alerts', 'Those that fire now, with what to do.'),
      firing.detail && h('p', { class: 'hint' }, firing.detail),
      rows.length ? h('ul', { class: 'alerts' }, rows.map((row) => drawnAlert(row, query, runbook))) : nothing(firing.configured === false ? 'No address of a Prometheus or an Alertmanager is set (PROMETHEUS_URL, ALERTMANAGER_URL), so none can be asked.' : 'None fires.'),
      query.runbook && !rows.some((row) => row.name === query.runbook) && drawnBook(query.runbook, runbook),
    ];
  },
};

const drawnBook = (name, runbook) => h('article', { class: 'card runbook', tabindex: '-1', 'data-lead': true, 'data-key': `runbook ${name}`, 'aria-label': `Runbook of ${name}` }, part(runbook, drawnRunbook));

function drawnAlert(row, query, runbook) {
  const isOpen = query.runbook === row.name;
  const labels = Object.entries(row.labels ?? {}).filter(([name]) => name !== 'alertname' && name !== 'severity');
  return h('li', { class: 'card', 'data-level': LEVELS[row.severity] ?? null },
    h('h2', {}, row.name, ' ', pill(row.severity, LEVELS[row.severity])),
    h('p', {}, text(row.summary)), h('p', { class: 'hint' }, `since ${ago(row.since)}`, labels.map(([name, value]) => [' ', h('code', {}, `${name}=${value}`)])),
    row.runbook && h('p', { class: 'ways' }, h('a', { class: 'button', href: but({ runbook: isOpen ? undefined : row.name }) }, isOpen ? 'Close the runbook' : 'What to do')),
    isOpen && drawnBook(row.name, runbook));
}
