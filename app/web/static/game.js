/** The game as the server tells it: the snapshot of the welcome, and what each message changes in it. */

export const playerOf = (game, id) => game.players.find((one) => one.player_id === id);

/** How many of the tests a player has passed at best, in percent. */
export function testsPercent({ accepted, tests_passed: passed, tests_total: total }) {
  if (accepted) return 100;
  return total ? Math.floor((passed / total) * 100) : 0;
}

/** What a player is called: by the name, and where others have the same, by a number too, in the order of their coming. */
export function nameOf(game, id) {
  const { name } = playerOf(game, id);
  const alike = game.players.filter((one) => one.name === name);
  if (alike.length === 1) return name;
  const taken = new Set(game.players.map((one) => one.name)); // somebody may be called "Kim (2)"
  const names = [];
  for (let number = 1; names.length < alike.length; number += 1) {
    if (!taken.has(`${name} (${number})`)) names.push(`${name} (${number})`);
  }
  return names[alike.findIndex((one) => one.player_id === id)];
}

/** By type of message: change the game, and show nothing. */
export const CHANGES = Object.freeze({
  __proto__: null,
  player_joined(game, data) {
    const known = playerOf(game, data.player_id);
    if (known) Object.assign(known, { name: data.name, status: 'active', connected: true, ready: false });
    else game.players.push({ ...data, status: 'active', connected: true, ready: false, attempts: 0, tests_passed: 0 });
  },
  player_ready(game, data) { playerOf(game, data.player_id).ready = data.status === 'ready'; },
  countdown_started(game, data) { Object.assign(game, { state: 'countdown', starts_at: data.starts_at }); },
  countdown_cancelled(game) { Object.assign(game, { state: 'waiting', starts_at: null }); },
  game_started(game, data) {
    Object.assign(game, { state: 'running', problem: data.problem, starts_at: data.starts_at, ends_at: data.ends_at });
  },
  player_progress(game, data) {
    const one = playerOf(game, data.player_id);
    if (one) one.lines = data.lines;
  },
  code_submitted(game, data) { playerOf(game, data.player_id).judging = true; },
  submission_judged(game, data) {
    const one = playerOf(game, data.player_id);
    one.judging = false;
    one.attempts = data.attempts ?? one.attempts + 1; // some cost no try; a server of before does not tell
    one.tests_total = data.tests_total || one.tests_total;
    one.tests_passed = Math.max(one.tests_passed, data.tests_passed);
    one.accepted = one.accepted || data.verdict === 'accepted';
  },
  player_disconnected(game, data) { playerOf(game, data.player_id).connected = false; },
  player_reconnected(game, data) { playerOf(game, data.player_id).connected = true; },
  player_left(game, data) { Object.assign(playerOf(game, data.player_id), { status: 'left', connected: false, ready: false }); },
  game_finished(game, data) { Object.assign(game, { state: 'finished', ...data }); },
});
