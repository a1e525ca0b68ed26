/** One replica, and all of them. */
import { tried } from '../api.js';
import { act } from '../dialogs.js';
import { h } from '../dom.js';
import { at, bytes, count, duration, percent, text, words } from '../format.js';
import { bar, button, card, facts, figure, head, nothing, part, pill, rowsOf, spark, table } from '../parts.js';
import { ofOne, to } from '../place.js';
import { alertLine } from './alerts.js';
import { closeColumns } from './closes.js';
import { columnsOf } from './connections.js';

const FEW = 5;
const LEVELS = ['debug', 'info', 'warning', 'error', 'critical'].map((one) => [one, one]);
const TIMES = [[300, '5 minutes'], [600, '10 minutes'], [3600, 'an hour'], [14400, 'four hours'], [86400, 'a day']];

export const replica = {
  name: 'This replica',
  async load({ query, ask }) {
    const one = ofOne(query);
    const [self, hurt, closes, alerts] = await Promise.all([
      ask('replica', { query: one }),
      tried(ask('connections', { query: { ...one, sort: 'hurt', limit: FEW } })),
      tried(ask('closes', { query: { ...one, limit: FEW } })),
      tried(ask('alerts')),
    ]);
    return { self, hurt, closes, alerts };
  },
  live: { replica: (data, self) => ({ ...data, self: { ...data.self, ...self } }) },
  draw({ self, hurt, closes, alerts }, { query, mayAct, reload }) {
    return [
      head(text(self.replica), [pill(stateOf(self), levelOf(self)), ` ${text(self.version)} (${text(self.revision)}), ${text(self.environment)}, up ${duration(self.uptime_s)}, since `, at(self.started_at)], mayAct && actions(self, ofOne(query), reload)),
      alerts.value && alertLine(rowsOf(alerts.value)),
      figures(self),
      h('div', { class: 'columns' },
        card('What hurts most', part(hurt, (value) => table({ caption: 'The connections that hurt most', columns: columnsOf(query, true), rows: rowsOf(value), key: (row) => row.connection_id, empty: 'No connections.' })), h('p', {}, h('a', { href: to('connections') }, 'All connections'))),
        card('Last closes and refusals', part(closes, (value) => table({ caption: 'The last closes and refusals', columns: closeColumns({}, true), rows: rowsOf(value).slice(0, FEW), empty: 'None yet.' })), h('p', {}, h('a', { href: to('closes') }, 'All of the last'))),
        h('div', { class: 'stack' }, readiness(self), raised(self)), parts(self)),
    ];
  },
};

function stateOf(self) {
  if (self.draining) return `draining: ${self.draining.phase ?? 'begun'}`;
  return self.ready ? 'ready' : 'not ready';
}

const levelOf = (self) => (self.draining ? 'wait' : self.ready ? 'good' : 'bad');

function figures(self) {
  const lag = self.loop_lag_s;
  const fds = self.fds_max ? self.fds / self.fds_max : 0;
  return h('div', { class: 'figures' },
    figure('Connections', count(self.connections), self.accepting === false ? 'takes no more' : ''),
    figure('Players', count(self.players)), figure('Games', count(self.games)),
    figure('Event loop', duration(lag), 'late', lag > 0.25 ? 'bad' : lag > 0.05 ? 'wait' : null),
    figure('Memory', bytes(self.memory_bytes)), figure('Processor', self.uptime_s ? percent(self.cpu_s / self.uptime_s) : '–', `${duration(self.cpu_s)} in all`),
    figure('Descriptors', count(self.fds), self.fds_max ? `of ${count(self.fds_max)}` : '', fds > 0.8 ? 'bad' : null));
}

function readiness(self) {
  const checks = { ...self.states, ...self.checks };
  const rows = Object.entries(checks).map(([name, value]) => {
    const isGate = name in (self.checks ?? {});
    const isGood = value === true || value === 'ok';
    return h('li', { 'data-level': isGood ? 'good' : isGate ? 'bad' : 'wait' }, h('span', { 'aria-hidden': 'true' }, isGood ? '✓ ' : '✗ '), words(name), h('span', { class: 'unseen' }, isGood ? ' passes' : ' fails'), typeof value !== 'boolean' && ` ${text(value)}`, !isGate && h('span', { class: 'hint' }, ' does not gate'));
  });
  return card('Readiness', rows.length ? h('ul', { class: 'checks' }, rows) : nothing('No checks.'));
}

function parts(self) {
  const rows = [];
  for (const [name, title] of [['event_log', 'event log'], ['judge', 'judge'], ['tracing', 'tracing']]) {
    for (const [key, value] of Object.entries(self[name] ?? {})) rows.push([`${title}, ${words(key)}`, shownValue(value)]);
  }
  const lags = self.loop_lag_hour?.length ? [h('h3', {}, 'Event loop, late in the last hour'), spark(self.loop_lag_hour, 'How late the event loop was in the last hour')] : [];
  return card('Parts', facts([['log level', self.log_level], ['process', [text(self.pid), self.worker ? `, worker ${shownValue(self.worker)}` : '']], ...rows]), lags);
}

const shownValue = (value) => (value !== null && typeof value === 'object' ? Object.entries(value).map(([key, one]) => `${words(key)} ${text(one)}`).join(', ') : words(value));

function raised(self) {
  const rows = self.raised ?? [];
  return card('For a time', rows.length ? h('ul', {}, rows.map((one) => h('li', {}, words(one.what), ' until ', at(one.until), one.by && `, by ${one.by}`))) : nothing('Nothing is raised: levels, sampling and limits are as they are set.'));
}

function actions(self, query, done) {
  const drain = self.draining
    ? button('Stop the drain', () => act({ title: 'Stop the drain', text: `${self.replica} takes new connections again.`, verb: 'Stop it', path: 'drain', method: 'DELETE', query, done }))
    : button('Drain…', () => act({ title: 'Drain this replica', text: `${self.replica} takes nobody any more; its ${count(self.connections)} connections are ended spread over time, each told when to come back. The process stays, and takes connections again when the time is over or the drain is stopped.`, verb: 'Drain', path: 'drain', query, isGrave: true, fields: [{ name: 'for_s', label: 'For', options: TIMES, value: 3600, isNumber: true }], done }));
  const shed = button('Shed…', () => act({ title: 'Shed a share', text: 'So many of its connections, the newest, are ended and come back after a while, to another replica where there is one.', verb: 'Shed', path: 'shed', query, isGrave: true, fields: [{ name: 'share', label: 'Share, in percent', type: 'number', min: 1, max: 100, value: 10 }], reshape: ({ share }) => ({ share: share / 100 }), done }));
  const level = button('Log level…', () => act({ title: 'Change the log level', text: 'It goes back by itself.', verb: 'Change it', path: 'log-level', method: 'PUT', query, fields: [{ name: 'level', label: 'Level', options: LEVELS, value: self.log_level }, { name: 'for_s', label: 'For', options: TIMES, value: 600, isNumber: true }], done }));
  const limits = button('Limit…', () => act({ title: 'Turn a limit to dry run, or back', text: 'In a dry run what exceeds it is counted and logged, and let through.', verb: 'Turn it', path: ({ scope }) => `limits/${encodeURIComponent(scope)}`, method: 'PUT', query, fields: [{ name: 'scope', label: 'Limit, by its name in the metrics' }, { name: 'dry_run', label: 'Dry run', type: 'checkbox', value: true }, { name: 'for_s', label: 'For', options: TIMES, value: 600, isNumber: true }], done }));
  return [level, limits, shed, drain];
}

export const replicas = {
  name: 'All replicas',
  load: ({ ask }) => ask('replicas'),
  draw(answer) {
    const rows = rowsOf(answer);
    const most = Math.max(1, ...rows.map((row) => row.connections ?? 0));
    return [
      head('All replicas', 'As each tells the others. One is looked at by its name; lists are of all of them until one is chosen.'),
      table({
        caption: 'All replicas', rows, key: (row) => row.instance ?? row.replica, empty: 'This replica stands alone.',
        columns: [
          { name: 'Replica', cell: (row) => h('a', { href: to('replica', '', { replica: row.replica }) }, text(row.replica)) },
          { name: 'State', cell: (row) => (row.error ? pill(`does not answer: ${row.error}`, 'bad') : pill(row.draining ? 'draining' : 'serving', row.draining ? 'wait' : 'good')) },
          { name: 'Connections', cell: (row) => [count(row.connections), ' ', bar(row.connections, most)], isNumber: true },
          { name: 'Version', cell: (row) => `${text(row.version)} (${text(row.revision)})`, isWide: true, level: (row) => (row.version !== rows[0].version ? 'wait' : null) },
          { name: 'Address', cell: (row) => h('code', {}, text(row.address)), isWide: true },
          { name: 'Seen', cell: (row) => (row.seen_s === undefined || row.seen_s === null ? '–' : `${duration(row.seen_s)} ago`), isNumber: true },
        ],
      }),
    ];
  },
};

