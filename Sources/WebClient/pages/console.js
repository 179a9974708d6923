// @ts-check
// The operator's console: the sign-in form and the board shown after it.
//
// The token is kept in this tab's session storage and sent with requests. A link may bring it in
// its fragment, as the one that `carillon serve --dev` prints: browsers send no fragment, and the
// page takes it out of its URL at once.

import { Backend } from './backend.js';
import { Dashboard } from './dashboard.js';
import { find } from './dom.js';
import { MetricsFeed } from './metrics-feed.js';
import { OnlineUsers } from './online-users.js';
import { UserLookup } from './user-lookup.js';

const KEY = 'carillon-console-token';
const ASKED = '/api/v1/users/online?limit=1';

const gate = find('#gate');
const board = find('#board');
const token = find('#token');
const error = find('#sign-in-error');

/** Closes the open board; does nothing while the sign-in form is shown. */
let close = () => {};
/** Number of the last sign-in or sign-out; the answer to an earlier sign-in is discarded. */
let attempt = 0;

/** @param {boolean} isBusy whether a sign-in waits for the server's answer */
function setBusy(isBusy) {
  for (const each of [token, find('#sign-in button')]) each.disabled = isBusy;
}

/** @param {string} [message] */
function showGate(message = '') {
  attempt += 1;
  close();
  close = () => {};
  sessionStorage.removeItem(KEY);
  gate.hidden = false;
  for (const each of [board, find('#sign-out'), find('#feed-state')]) each.hidden = true;
  find('#feed-age').textContent = '';
  error.textContent = message;
  setBusy(false);
  token.value = '';
  token.focus();
}

/** @param {string} publisher */
function showBoard(publisher) {
  close();
  setBusy(false);
  token.value = '';
  sessionStorage.setItem(KEY, publisher);
  gate.hidden = true;
  for (const each of [board, find('#sign-out'), find('#feed-state')]) each.hidden = false;
  const backend = new Backend(() => publisher);
  const leaves = new AbortController();
  const feed = new MetricsFeed(publisher);
  const users = new OnlineUsers(backend, (user) => lookup.open(user), leaves.signal);
  const lookup = new UserLookup(backend, leaves.signal);
  new Dashboard(feed, leaves.signal);
  // The feed does not keep the reason for a failure; an ordinary request gives it.
  feed.addEventListener('refused', async () => {
    try {
      await backend.request('GET', ASKED);
    } catch (failure) {
      if (!leaves.signal.aborted && isAboutToken(failure)) showGate(refusal(failure));
    }
  });
  let wasLive = false;
  feed.addEventListener('state', () => {
    // After a gap in the feed other users may be online.
    if (feed.state === 'live' && wasLive) users.refresh();
    wasLive ||= feed.state === 'live';
  });
  addEventListener('online', () => feed.hurry(), { signal: leaves.signal });
  close = () => {
    leaves.abort();
    feed.close();
  };
}

/** @param {any} failure */
const isAboutToken = (failure) => failure.isAboutToken === true;

/** @param {any} failure */
const refusal = (failure) =>
  failure.status === 403
    ? 'This is not a publisher token: it lacks the publish scope.'
    : 'The server does not accept this token: it has expired or was signed with another key.';

/** @param {string} publisher */
async function enter(publisher) {
  attempt += 1;
  const own = attempt;
  error.textContent = '';
  setBusy(true);
  try {
    await new Backend(() => publisher).request('GET', ASKED);
    if (own !== attempt) return;
  } catch (failure) {
    if (own !== attempt) return;
    showGate(
      isAboutToken(failure) ? refusal(failure) : String(/** @type {any} */ (failure).message),
    );
    return;
  }
  showBoard(publisher);
}

find('#sign-in').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  enter(token.value.trim());
});
find('#sign-out').addEventListener('click', () => showGate());

/** Takes the token of a link out of the page's URL; null without one. */
function takeLinkedToken() {
  const linked = new URLSearchParams(location.hash.slice(1)).get('token');
  // guard: link-leaves-no-token
  if (linked) history.replaceState(null, '', location.pathname + location.search);
  return linked;
}

// A link that is opened in the console's own tab changes only the fragment.
addEventListener('hashchange', () => {
  const linked = takeLinkedToken();
  if (linked) enter(linked);
});

const linked = takeLinkedToken();
const kept = sessionStorage.getItem(KEY);
if (linked) enter(linked);
else if (kept) showBoard(kept);
else showGate();
