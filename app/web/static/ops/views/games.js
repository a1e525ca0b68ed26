/** The games, and one of them: who is in it, over which connections, and what happened when. */
import { tried } from '../api.js';
import { act } from '../dialogs.js';
import { h } from '../dom.js';
import { ago, at, count, duration, text, words } from '../format.js';
import { button, card, facts, filters, gameLink, head, missingLine, pager, part, pill, playerLink, problemLine, replicaColumn, rowsOf, table } from '../parts.js';
import { ofAll } from '../place.js';
import { columnsOf } from './connections.js';
import { timeline } from './events.js';
import { Replay } from './replay.js';
import { traceButton } from './trace.js';

const PHASES = ['waiting', 'countdown', 'running', 'finished'];
const EVENTS = 100;

const phaseLevel = (row) => (row.overdue_s > 0 ? 'bad' : row.phase === 'running' ? 'good' : null);

export const games = {
  name: 'Games',
  load: ({ query: { replica, page, ...asked }, ask }) => ask('games', { query: { limit: 50, ...asked, ...ofAll({ replica }) } }),
  draw(answer, { query }) {
    return [
      head('Games', 'Those that should have moved on are first.'),
      filters(query, [{ name: 'phase', label: 'Phase', options: PHASES }, { name: 'player', label: 'Player' }]),
      missingLine(answer),
      pager({ ...answer, rows: rowsOf(answer) }, query, 'games'),
      table({
        caption: 'Games', rows: rowsOf(answer), key: (row) => row.game_id, query, first: 'hurt', empty: 'No game is like that.',
        columns: [
          { name: 'Game', cell: (row) => gameLink(row.game_id) },
          ...replicaColumn(query),
          { name: 'Phase', cell: (row) => pill(row.phase, phaseLevel(row)) },
          { name: 'Problem', cell: (row) => text(row.problem), isWide: true },
          { name: 'Players', isNumber: true, cell: (row) => count(row.players) },
          { name: 'Connections', sort: 'members', isNumber: true, isWide: true, cell: (row) => count(row.members) },
          { name: 'Spectators', isNumber: true, isWide: true, cell: (row) => count(row.spectators) },
          { name: 'Events per minute', sort: 'events_per_minute', isNumber: true, isWide: true, cell: (row) => count(row.events_per_minute) },
          { name: 'Events', sort: 'events', isNumber: true, isWide: true, cell: (row) => count(row.events) },
          { name: 'Judging', sort: 'judging', isNumber: true, cell: (row) => count(row.judging) },
          { name: 'Overdue', sort: 'overdue', isNumber: true, cell: (row) => (row.overdue_s > 0 ? duration(row.overdue_s) : '–'), level: (row) => (row.overdue_s > 0 ? 'bad' : null) },
          { name: 'Made', sort: 'age', isWide: true, cell: (row) => ago(row.created_at) },
        ],
      }),
    ];
  },
};

/** Whichever replica is asked of one game asks the one that has it: no link need say which that is. */
export const game = {
  name: 'Game', parent: 'games',
  async load({ id, query: { after }, had, ask }) {
    const path = `games/${encodeURIComponent(id)}`;
    const replay = had?.replay ?? new Replay();
    const [one, events] = await Promise.all([
      ask(path, { query: { replicas: 'all' } }),
      tried(ask(`${path}/events`, { query: { after, limit: EVENTS } })),
    ]);
    const { problem } = await tried(replay.load(one.game.events, (page) => ask(`${path}/events`, { query: page })));
    return { one, events, replay, problem };
  },
  draw({ one: { game: one, players, connections, missing }, events, replay, problem }, { id, query, mayAct, reload }) {
    const names = new Map(players.map((row) => [row.player_id, row.name]));
    return [
      head([`Game `, h('code', {}, id)], [pill(one.phase, phaseLevel(one)), ` ${text(one.problem)}, on ${text(one.replica)}, made ${ago(one.created_at)}`],
        mayAct && [traceButton({ game: id }, {}, reload), one.phase !== 'finished' && endButton(id, reload)]),
      h('div', { class: 'columns' },
        card('The race', facts([
          ['host', playerLink(one.host_id)], ['connections', count(one.members)], ['of those spectators', count(one.spectators)], ['events', count(one.events)],
          ['events per minute', count(one.events_per_minute)], ['being judged', count(one.judging)], ['overdue', one.overdue_s > 0 ? duration(one.overdue_s) : 'no'], ['ends', one.ends_at ? at(one.ends_at) : '–'],
        ])),
        card('Players', table({
          caption: 'Players of this game', rows: players, key: (row) => row.player_id, empty: 'Nobody is in it.',
          columns: [
            { name: 'Player', cell: (row) => playerLink(row.player_id, row.name) }, { name: 'Standing', cell: standingOf },
            { name: 'Tests', isNumber: true, cell: (row) => (row.accepted ? 'all' : text(row.tests_passed)) }, { name: 'Tries', isNumber: true, cell: (row) => count(row.attempts) },
            mayAct && one.phase !== 'finished' && { name: 'Do', cell: (row) => !row.out && removeButton(id, row, reload) },
          ].filter(Boolean),
        }))),
      missingLine({ missing }),
      card('Connections', table({ caption: 'Connections of this game', rows: connections, columns: columnsOf({}).map((column) => ({ ...column, sort: undefined })), key: (row) => row.connection_id, empty: 'None.' })),
      card('Replay', problem && problemLine(problem), replay.drawn(names)),
      card('What happened', part(events, (answer) => timeline(answer, names, EVENTS))),
    ];
  },
};

function standingOf(row) {
  if (row.out) return pill(`out: ${words(row.out)}`, 'wait');
  if (!row.connection_id) return pill('connection lost', 'bad');
  return row.accepted ? pill('solved it', 'good') : row.judging ? 'being judged' : row.ready ? 'ready' : 'in';
}

// ---------------------------------------------------------------- what is done

const endButton = (id, done) => button('End it…', () => act({ title: 'End this game', text: 'The race is over for all who are in it, with the ranking as things stand. It cannot be taken back.', verb: 'End it', isGrave: true, path: `games/${encodeURIComponent(id)}/end`, done }));

export const removeButton = (gameId, { player_id: id, name }, done) => button('Remove…', () => act({ title: `Remove ${name || id}`, text: 'The player is out of this race and cannot come back into it.', verb: 'Remove', isGrave: true, path: `players/${encodeURIComponent(id)}/remove`, body: { game_id: gameId }, done }));
