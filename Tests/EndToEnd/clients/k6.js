// A load test as k6's documentation shows it: each virtual user opens a WebSocket, publishes to
// itself over HTTP, waits for the notification, and reads its inbox.
//
// Half of the users use the module `k6/ws`, half the newer one with the interface of browsers.
import { check } from 'k6';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import ws from 'k6/ws';
import { WebSocket } from 'k6/experimental/websockets';

const { URL, KEY } = __ENV;
const USERS = __ENV.USERS.split(',');
const TOKENS = __ENV.TOKENS.split(',');
const INBOX = `${URL}/api/v1/notifications`;
const SOCKETS = `${URL.replace('http', 'ws')}/api/v1/ws/notifications`;
const ITERATIONS = 2;
const LONGEST = 20_000;

const delivered = new Counter('notifications_delivered');
const latency = new Trend('publish_to_delivery', true);

const users = {
  executor: 'per-vu-iterations',
  vus: TOKENS.length / 2,
  iterations: ITERATIONS,
  maxDuration: '30s',
};

export const options = {
  scenarios: { first: { ...users, exec: 'first' }, second: { ...users, exec: 'second' } },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    notifications_delivered: [`count==${ITERATIONS * TOKENS.length}`],
    publish_to_delivery: [`max<${LONGEST}`],
    ws_connecting: [`max<${LONGEST}`],
  },
};

const user = () => USERS[__VU - 1];
const token = () => TOKENS[__VU - 1];
const authorization = () => ({ Authorization: `Bearer ${token()}` });
const title = () => `from ${__ITER}`;
let start;

/**
 * Publishes when the connection is open. It does not wait for the greeting, because the newer
 * module may lose a message that arrives together with the answer to the upgrade.
 */
function publish() {
  start = Date.now();
  const body = JSON.stringify({ user_id: user(), type: 'load', title: title() });
  const headers = { 'Content-Type': 'application/json', 'X-API-Key': KEY };
  const { status } = http.post(INBOX, body, { headers });
  check(status, { 'the publish is answered 201': () => status === 201 });
}

/** Reads a message; after the notification it reads the inbox and closes the connection. */
function receive(text, close) {
  const { event, data } = JSON.parse(text);
  if (event !== 'notification:new') return;
  latency.add(Date.now() - start);
  delivered.add(1);
  check(data, { 'the title is the published one': () => data.title === title() });
  const { status } = http.get(INBOX, { headers: authorization() });
  check(status, { 'the inbox is answered 200': () => status === 200 });
  close();
}

export function first() {
  const opened = ws.connect(SOCKETS, { headers: authorization() }, (socket) => {
    socket.on('open', publish);
    socket.on('message', (text) => receive(text, () => socket.close()));
    socket.setTimeout(() => socket.close(), LONGEST);
  });
  check(opened, { 'the upgrade is answered 101': ({ status }) => status === 101 });
}

export function second() {
  const socket = new WebSocket(`${SOCKETS}?token=${token()}`);
  const timer = setTimeout(() => socket.close(), LONGEST);
  socket.addEventListener('open', publish);
  socket.addEventListener('message', ({ data }) => receive(data, () => socket.close()));
  socket.addEventListener('close', () => clearTimeout(timer));
}
