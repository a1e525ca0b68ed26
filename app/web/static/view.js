/** Draws the game. */
import { $, element, row, turnOff } from './dom.js';
import { nameOf, playerOf, testsPercent } from './game.js';

export const VERDICTS = Object.freeze({
  accepted: 'Accepted', wrong_answer: 'Wrong answer', runtime_error: 'Runtime error', time_limit: 'Too slow',
  memory_limit: 'Too much memory', invalid: 'Not valid', unsupported: 'Not supported here', judge_error: 'The judge failed',
});

export function notice(text) {
  $('notice').textContent = text ?? '';
  $('notice').hidden = !text;
}

/** Draw a race: `{ game, me, isPlaying, isPending, mayStay }`. */
export function draw({ game, me, isPlaying, isPending, mayStay }) {
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
  $('leave').textContent = mayStay ? 'Stay' : 'Leave';
  $('leaving').textContent = mayStay ? 'You leave as soon as the connection is back.' : '';
  $('leave').hidden = game.state === 'finished' || !isPlaying;
  $('work').hidden = waiting || !game.problem.statement; // one that never began has none
  turnOff($('submit'), game.state !== 'running' || !isPlaying || isPending || mine?.accepted);
  $('room').dataset.state = game.state;
  drawPlayers(game, me);
  drawRanking(game, me);
}

function drawPlayers(game, me) {
  $('players').replaceChildren();
  for (const one of inOrder(game, me)) {
    const name = nameOf(game, one.player_id);
    const line = row($('players'), 'li', [
      element('span', name + (one.player_id === me ? ' (you)' : ''), 'name'), standingOf(game, one),
    ]);
    if (one.status === 'left') line.className = 'gone';
    if (game.state === 'running') {
      const bar = document.createElement('progress');
      bar.max = 100;
      bar.value = testsPercent(one);
      bar.setAttribute('aria-label', `Tests that ${name} has passed`);
      line.append(bar);
    }
  }
  $('players').toggleAttribute('tabindex', false);
  if ($('players').scrollHeight > $('players').clientHeight) $('players').tabIndex = 0; // to be scrolled by keys
}

/** While the race runs, oneself and then who is ahead: where there are very many, the last ones have to be scrolled to. */
function inOrder(game, me) {
  if (game.state !== 'running') return game.players;
  const merit = (one) => (one.player_id === me ? Infinity : testsPercent(one));
  return [...game.players].sort((one, other) => merit(other) - merit(one));
}

/** How far a player is; where many are to be in sight on a phone, only the first words of it are. */
function standingOf(game, one) {
  const [short, more] = what(game, one).split('|');
  const line = element('span', short, 'what');
  if (more) line.append(element('span', more, 'more'));
  return line;
}

/** What is to be said of a player; behind the bar, what can be left out. */
function what(game, one) {
  if (one.status === 'left') return 'left';
  if (!one.connected) return 'connection lost';
  if (game.state === 'waiting' || game.state === 'countdown') return one.ready ? 'ready' : 'not ready';
  if (one.accepted) return 'solved it';
  if (one.judging) return 'being judged…';
  if (one.attempts) return `${one.tests_passed}/${one.tests_total || '?'}| tests, ${one.attempts} tried`;
  return one.lines ? `writing|, ${count(one.lines, 'line', 'lines')}` : 'no try| yet';
}

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

function drawRanking(game, me) {
  const isNew = $('ranking').hidden;
  $('ranking').hidden = game.state !== 'finished';
  if (game.state !== 'finished') return;
  const headline = !game.winner ? (game.reason === 'ended' ? 'This race was ended' : 'Nobody solved it') : game.winner === me ? 'You won!' : `${nameOf(game, game.winner)} won`;
  $('winner').textContent = headline;
  $('own-place').textContent = placeOf(game, me);
  $('ranks').replaceChildren();
  for (const one of game.ranking) {
    const time = one.solved_ms === null ? '–' : `${(one.solved_ms / 1000).toFixed(1)} s`;
    const name = nameOf(game, one.player_id) + (one.player_id === me ? ' (you)' : '');
    row($('ranks'), 'tr', [one.rank, name, one.accepted ? 'all' : one.tests_passed, one.attempts, time].map((cell) => element('td', String(cell))));
  }
  if (!isNew) return;
  $('told').textContent = `The race is over. ${headline}${headline.endsWith('!') ? '' : '.'} ${placeOf(game, me)}`;
  $('winner').focus(); // which brings it into view
}

function placeOf(game, me) {
  const mine = game.ranking.find((one) => one.player_id === me);
  if (!mine) return '';
  const tests = mine.accepted ? 'all tests' : count(mine.tests_passed, 'test', 'tests');
  return `You are number ${mine.rank} of ${game.ranking.length}, with ${tests} passed in ${count(mine.attempts, 'try', 'tries')}.`;
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
