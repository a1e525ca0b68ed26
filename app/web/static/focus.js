/** The focus is never lost: where what has it goes, it is at the heading of what came instead. */
import { $ } from './dom.js';

const HEADINGS = ['card-title', 'winner', 'room-title', 'lobby-title'];

let last = null;

/** Watch the page, from now on. Whoever takes the focus away from what is still there meant to. */
export function holdFocus() {
  last = document.activeElement;
  addEventListener('focusin', ({ target }) => { last = target; });
  new MutationObserver(() => {
    if (last === document.body || isThere(last)) return;
    HEADINGS.map($).find(isThere)?.focus();
  }).observe(document.body, { subtree: true, childList: true, attributeFilter: ['hidden', 'disabled'] });
}

const isThere = (one) => one.isConnected && !one.disabled && one.getClientRects().length > 0;
