// @ts-check
// The form that publishes to one user, to several, to everyone or to a room; once or in a series.
//
// Invariant: at most one series runs, and a stopped series publishes nothing more.

import { at } from './backend.js';
import { find, make } from './dom.js';
import { icon } from './icons.js';

const NOTIFICATIONS = '/api/v1/notifications';
const ROOM = '/api/v1/websocket/send/room';
const SYSTEM = '/api/v1/websocket/send/system';
const MOST_ACTIONS = 4;
const USERS = ['alice', 'bob'];

/** Examples to fill the form with: one for each reference application, and a hostile one. */
const EXAMPLES = [
  {
    name: 'Trade',
    type: 'trade.created',
    priority: 'normal',
    title: 'Trade created',
    message: 'Bought 10 AAPL at 187.42.',
    group_key: 'trades',
    entity_url: '/trades/7',
    data: { symbol: 'AAPL', pnl: 125.5 },
  },
  {
    name: 'Incident',
    type: 'incident_created',
    priority: 'urgent',
    title: 'Incident INC-2024-001',
    message: 'The database in eu-west does not answer.',
    entity_url: '/incidents/1',
    actions: [{ label: 'Acknowledge', url: '/incidents/1/ack' }, {
      label: 'Runbook',
      url: 'https://example.org/runbook',
    }],
  },
  {
    name: 'Payment',
    type: 'payment_succeeded',
    priority: 'normal',
    title: 'Payment successful',
    message: 'Your payment of $10.00 has been processed.',
    data: { payment_id: 123, amount: 1000 },
  },
  {
    name: 'Import',
    type: 'csv.import',
    priority: 'low',
    title: 'Import finished',
    message: '1,204 rows, 3 of them left out.',
    group_key: 'imports',
  },
  {
    name: 'Hostile',
    type: 'error',
    priority: 'high',
    title: '<script>alert(1)</script>',
    message: '<img src=x onerror=alert(2)> \u202Ethgir ot tfel',
  },
];

export class PublishForm {
  #form;
  #backend;
  /** Ends the running series. */
  #run = new AbortController();

  /**
   * @param {HTMLFormElement} form
   * @param {import('./backend.js').Backend} backend
   */
  constructor(form, backend) {
    this.#form = form;
    this.#backend = backend;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const { count, interval } = this.#fields;
      this.#series(Number(count), Number(interval));
    });
    const on = (
      /** @type {string} */ selector,
      /** @type {string} */ type,
      /** @type {any} */ act,
    ) => find(selector, form).addEventListener(type, act);
    on('.stop', 'click', () => this.#run.abort());
    on('.four', 'click', () => form.reportValidity() && this.#series(4, 3));
    on('.add-action', 'click', () => this.#addAction());
    on('.curl', 'click', () => this.#copy());
    on('[name=to]', 'change', () => this.#showFields());
    find('.add-action', form).prepend(icon('add'));
    find('.examples', form).append(
      ...EXAMPLES.map((example) => {
        const fill = () => this.#fill(example);
        return make('button', { type: 'button', class: 'quiet', click: fill }, example.name);
      }),
    );
    this.#showFields();
  }

  /** @returns {Record<string, string>} */
  get #fields() {
    return /** @type {any} */ (Object.fromEntries(new FormData(this.#form)));
  }

  /** Shows only the fields that apply to the chosen audience. */
  #showFields() {
    const { value } = find('[name=to]', this.#form);
    find('.for-room', this.#form).hidden = value !== 'room';
    const isStored = value !== 'room' && value !== 'system';
    for (const each of this.#form.querySelectorAll('.for-stored')) {
      /** @type {HTMLElement} */ (each).hidden = !isStored;
    }
  }

  /** @param {any} example */
  #fill(example) {
    for (const name of ['type', 'priority', 'title', 'message', 'entity_url', 'group_key']) {
      find(`[name=${name}]`, this.#form).value = example[name] ?? '';
    }
    find('[name=data]', this.#form).value = example.data ? JSON.stringify(example.data) : '';
    find('.action-rows', this.#form).replaceChildren();
    for (const action of example.actions ?? []) this.#addAction(action);
  }

  #addAction({ label = '', url = '' } = {}) {
    const rows = find('.action-rows', this.#form);
    if (rows.children.length >= MOST_ACTIONS) return;
    const row = make(
      'div',
      { class: 'row' },
      make('input', {
        class: 'grow label',
        'aria-label': 'Label',
        placeholder: 'Label',
        value: label,
      }),
      make('input', { class: 'grow url', 'aria-label': 'Link', placeholder: '/path', value: url }),
      make('button', {
        type: 'button',
        class: 'quiet',
        'aria-label': 'Remove this action',
        click: () => row.remove(),
      }, icon('remove')),
    );
    rows.append(row);
    if (!label) find('.label', row).focus();
  }

  // Publishing.

  /** The request to send. @returns {[path: string, body: any]} */
  #message() {
    const { to, room, type, priority, title, message, entity_url, group_key, data } = this.#fields;
    /** @type {any} */
    let payload = {};
    if (data.trim()) {
      try {
        payload = JSON.parse(data);
      } catch {
        throw new Error('Data is not valid JSON.');
      }
    }
    if (to === 'room') return [ROOM, { room, notification_type: type, title, message, payload }];
    if (to === 'system') return [SYSTEM, { message_type: type, title, message, payload }];
    const actions = [...this.#form.querySelectorAll('.action-rows .row')]
      .map((row) => ({ label: find('.label', row).value, url: find('.url', row).value }))
      .filter(({ label, url }) => label || url);
    const body = {
      ...(to === 'users' && { user_ids: USERS }),
      ...(to === 'everyone' && { audience: 'everyone' }),
      ...(to.startsWith('user:') && { user_id: to.slice(5) }),
      type,
      priority,
      title,
      message,
      ...(data.trim() && { data: payload }),
      ...(entity_url && { entity_url }),
      ...(group_key && { group_key }),
      ...(actions.length > 0 && { actions }),
    };
    return [NOTIFICATIONS, body];
  }

  /** Copies the request as a command, which a backend's developer can run and change. */
  async #copy() {
    const [done, error] = [find('.done', this.#form), find('p.error', this.#form)];
    const shown = find('.command', this.#form);
    done.textContent = error.textContent = shown.textContent = '';
    try {
      const [path, body] = this.#message();
      const command = [
        `curl -X POST ${quoted(at(path))}`,
        `-H ${quoted(`Authorization: ${await this.#backend.authorization()}`)}`,
        `-H ${quoted('Content-Type: application/json')}`,
        `-d ${quoted(JSON.stringify(body))}`,
      ].join(' \\\n  ');
      try {
        await navigator.clipboard.writeText(command);
        done.textContent = 'Copied. The token in it is valid for some minutes.';
      } catch {
        shown.textContent = command;
        getSelection()?.selectAllChildren(shown);
        error.textContent = 'The browser allows no access to the clipboard: copy the command here.';
      }
    } catch (failure) {
      error.textContent = /** @type {Error} */ (failure).message;
    }
  }

  /**
   * @param {number} count
   * @param {number} seconds between one notification and the next
   */
  async #series(count, seconds) {
    this.#run.abort();
    const run = (this.#run = new AbortController());
    const [done, error] = [find('.done', this.#form), find('p.error', this.#form)];
    const stop = find('.stop', this.#form);
    done.textContent = error.textContent = '';
    try {
      const [path, body] = this.#message();
      stop.hidden = count < 2;
      const start = performance.now();
      for (let index = 0; index < count; index += 1) {
        // Publish by the clock, so that a slow response does not delay the rest of the series.
        const isStopped = await pause(
          start + index * seconds * 1_000 - performance.now(),
          run.signal,
        );
        if (isStopped) break;
        const numbered = count > 1
          ? { ...body, title: `${body.title} (${index + 1}/${count})` }
          : body;
        const asked = performance.now();
        await this.#backend.request('POST', path, numbered);
        if (run !== this.#run) return;
        const took = (performance.now() - asked).toFixed(1);
        done.textContent = `Published ${index + 1} of ${count}; the response took ${took} ms.`;
      }
    } catch (failure) {
      if (run === this.#run) error.textContent = /** @type {Error} */ (failure).message;
    }
    if (run === this.#run) stop.hidden = true;
  }
}

/** A word of a shell's command. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * Waits. Resolves to true if the signal ended the wait early.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>}
 */
function pause(milliseconds, signal) {
  if (signal.aborted || milliseconds <= 0) return Promise.resolve(signal.aborted);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(true);
    }, { once: true });
  });
}
