/** Draws the game. */
import { $, element, row } from './dom.js';
import { playerOf } from './game.js';

export const VERDICTS = Object.freeze({
  accepted: 'Accepted', wrong_answer: 'Wrong answer', runtime_error: 'Runtime error', time_limit: 'Too slow',
  memory_limit: 'Too much memory', invalid: 'Not valid', unsupported: 'Not supported here', judge_error: 'The judge failed',
});

export function notice(text) {
  $('notice').textContent = text ?? '';
  $('notice').hidden = !text;
}

/** Draw a race: `{ game, me, isPlaying, isPending }`. */
export function draw({ game, me, isPlaying, isPending }) {
  if (!game) return;
  const mine = playerOf(game, me);
  const waiting = game.state === 'waiting' || game.state === 'countdown';
  $('room-title').textContent = {
    waiting: `Waiting for players: ${game.players.filter((one) => one.status === 'active').length} of at least ${game.min_players}`,
    countdown: 'Get ready', running: game.problem.title, finished: game.problem.title,
  }[game.state];
  $('share').hidden = !waiting;
  $('ready').hidden = !waiting;
  $('ready').textContent = mine?.ready ? 'Not ready after all' : 'I am ready';
  $('leave').hidden = game.state === 'finished' || !isPlaying;
  $('work').hidden = waiting || !game.problem.statement; // one that never began has none
  $('submit').disabled = game.state !== 'running' || !isPlaying || isPending || mine?.accepted;
  drawPlayers(game, me);
  drawRanking(game, me);
}

function drawPlayers(game, me) {
  $('players').replaceChildren();
  for (const one of game.players) {
    const line = row($('players'), 'li', [
      element('span', one.name + (one.player_id === me ? ' (you)' : ''), 'name'), element('span', what(game, one), 'what'),
    ]);
    if (one.status === 'left') line.className = 'gone';
    if (game.state === 'running' || game.state === 'finished') {
      const bar = document.createElement('progress');
      bar.max = 100;
      bar.value = share(one);
      bar.setAttribute('aria-label', `Progress of ${one.name}`);
      line.append(bar);
    }
  }
}

function share(one) {
  if (one.accepted) return 100;
  const judged = one.tests_total ? (one.tests_passed / one.tests_total) * 95 : 0;
  return Math.min(95, Math.max(judged, (one.percent ?? 0) * 0.5));
}

function what(game, one) {
  if (one.status === 'left') return 'left';
  if (!one.connected) return 'connection lost';
  if (game.state === 'waiting' || game.state === 'countdown') return one.ready ? 'ready' : 'not ready';
  if (one.accepted) return 'solved it';
  if (one.judging) return 'being judged…';
  return one.attempts ? `${one.tests_passed}/${one.tests_total ?? '?'} tests, ${one.attempts} tried` : 'working';
}

function drawRanking(game, me) {
  $('ranking').hidden = game.state !== 'finished';
  if (game.state !== 'finished') return;
  const winner = game.players.find((one) => one.player_id === game.winner);
  $('winner').textContent = !winner ? 'Nobody solved it' : winner.player_id === me ? 'You won!' : `${winner.name} won`;
  $('ranks').replaceChildren();
  for (const one of game.ranking) {
    const time = one.solved_ms === null ? '–' : `${(one.solved_ms / 1000).toFixed(1)} s`;
    row($('ranks'), 'tr', [one.rank, one.name, one.accepted ? 'all' : one.tests_passed, one.attempts, time].map((cell) => element('td', String(cell))));
  }
}

/** Show the problem; true where it was not shown yet. */
export function showProblem(problem) {
  if ($('statement').dataset.problem === problem.id) return false;
  $('statement').dataset.problem = problem.id;
  const examples = problem.tests.map((test) => element('pre', `solve(${test.args.map(python).join(', ')}) → ${python(test.expected)}`));
  const paragraphs = problem.statement.trim().split(/\n{2,}/).map(paragraph);
  $('statement').replaceChildren(
    element('h2', `${problem.title} (${problem.difficulty})`), ...paragraphs, element('h3', 'Examples'), ...examples,
  );
  return true;
}

/** A paragraph of a statement: lines flow, and what stands in backticks is code. */
function paragraph(text) {
  const one = document.createElement('p');
  const parts = text.replaceAll('\n', ' ').split('`');
  one.append(...parts.map((part, index) => (index % 2 ? element('code', part) : part)));
  return one;
}

/** A JSON value as Python writes it. */
function python(value) {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  return JSON.stringify(value);
}

export function verdict(text, className = '') {
  $('verdict').textContent = text;
  $('verdict').className = className;
}

/** Show what the judge says to a submission: the verdict and the visible tests. */
export function showResult({ verdict: word, detail, tests }) {
  verdict(VERDICTS[word] + (detail ? `: ${detail}` : ''), word === 'accepted' ? 'good' : 'bad');
  $('tests').hidden = tests.length === 0;
  $('test-rows').replaceChildren();
  for (const test of tests) {
    row($('test-rows'), 'tr', [
      element('td', test.passed ? '✓ passed' : '✗ failed', test.passed ? 'good' : 'bad'),
      element('td', test.input), element('td', test.expected), element('td', test.got),
    ]);
  }
}

/** Show the time that is left; `now` by the server's clock. */
export function showClock(game, now) {
  let text = '';
  if (game.state === 'countdown') text = `Starts in ${Math.max(0, Math.ceil((game.starts_at - now) / 1000))}`;
  if (game.state === 'running') {
    const left = Math.max(0, Math.ceil((game.ends_at - now) / 1000));
    text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  }
  $('clock').textContent = text;
}
