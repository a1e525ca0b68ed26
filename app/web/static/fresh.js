/** The field for a fresh token of one's own: there in time before the old one ends, and after its end. */
import { $, isOff, turnOff } from './dom.js';

/** `take(token)` goes on with what was pasted; it resolves to the words for what is wrong with it, '' where nothing is. */
export function startFresh(take) {
  $('fresh').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isOff($('fresh-go'))) return;
    turnOff($('fresh-go'), true);
    say('');
    const wrong = await take($('fresh-token').value.trim());
    turnOff($('fresh-go'), false);
    say(wrong);
    if (wrong) $('fresh-token').select(); // the next one is pasted over it
    else $('fresh-token').value = '';
  });
}

/** Ask for a token; the focus stays where it is. */
export function askFresh(text) {
  $('fresh-text').textContent = text;
  $('fresh').hidden = false;
}

export function hideFresh() { $('fresh').hidden = true; }

function say(wrong) {
  $('fresh-wrong').textContent = wrong;
  $('fresh-token').setAttribute('aria-invalid', String(Boolean(wrong)));
}
