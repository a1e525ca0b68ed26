/** Who one is to the service, and how to become somebody who may do more. */
import { $ } from './dom.js';
import { Problem, ask, keep, kept } from './api.js';

let refresh = () => null;

/** Say in the head what one may do. */
export function showRight({ right, operator } = {}) {
  const may = { act: 'may act', read: 'may read' }[right] ?? 'no access';
  $('access').textContent = right ? `${operator ?? ''} ${may}`.trim() : 'Sign in';
  $('access').dataset.right = right ?? '';
  $('sign-who').textContent = right
    ? `You are known as “${operator}” and ${right === 'act' ? 'may read and act' : 'may read, not act'}.`
    : 'You may not read here: the service does not know who you are.';
}

export function openSign() {
  $('sign-token').value = '';
  $('sign-problem').hidden = true;
  $('sign-name').value = kept().name;
  $('sign-forget').hidden = !kept().token;
  $('sign').showModal();
  $('sign-token').focus();
}

/** Watch the dialog; `onchange` is called where one is somebody else from now on. */
export function watchSign(onchange) {
  refresh = onchange;
  $('access').onclick = openSign;
  $('sign-cancel').onclick = () => $('sign').close();
  $('sign-forget').onclick = () => { keep({ token: '', name: '' }); $('sign').close(); refresh(); };
  $('sign-form').onsubmit = (event) => { event.preventDefault(); use({ token: $('sign-token').value.trim(), name: $('sign-name').value.trim() }); };
}

/** Take a token where the service takes it; else keep the one before. */
async function use(next) {
  const before = kept();
  keep(next);
  try {
    await ask('replica');
    $('sign').close();
    refresh();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    keep(before);
    $('sign-problem').textContent = `This token is not taken: ${problem.message}.`;
    $('sign-problem').hidden = false;
  }
}
