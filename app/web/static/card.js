/** The card that stands where no race can be played: what is the matter, and the ways on. */
import { $, element } from './dom.js';
import { WAYS } from './ends.js';

/** Show `{ title, text, ways }`, and what was `written`; `act(way)` is called with the way that is chosen. The first is the best but for a token. */
export function showCard({ title, text, ways, written = '', asksToken = false }, act) {
  $('card-title').textContent = title;
  $('card-text').textContent = text;
  $('written').value = written;
  $('written-field').hidden = !written;
  $('card-ways').replaceChildren(...ways.map((way, index) => {
    const button = element('button', WAYS[way], index === 0 && !asksToken ? 'primary' : '');
    button.type = 'button';
    button.addEventListener('click', () => act(way));
    return button;
  }));
  if (!$('card').hidden) return;
  $('card').hidden = false;
  if ($('fresh').contains(document.activeElement)) $('told').textContent = title; // who pastes a token goes on with it
  else $('card-title').focus(); // what had the focus may be gone
}

export const isCardShown = () => !$('card').hidden;

export function hideCard() { $('card').hidden = true; }
