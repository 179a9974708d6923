// A page that uses the declared types, and misuses some. It is type-checked and never run.
//
// Each `@ts-expect-error` marks a misuse: the check fails if the next line has no type error.

// Unused declarations serve only the type check.
// deno-lint-ignore-file ban-ts-comment no-unused-vars

import { Carillon, CarillonError, configure, NotificationStore } from 'CLIENT/carillon.js';
import { nativeNotifications, requestPermission } from 'CLIENT/carillon.js';
import { notificationStore, wsClient } from 'CLIENT/carillon.js';
import type { State, StoreValue } from 'CLIENT/carillon.js';
import { useNotificationWebSocket } from 'CLIENT/react.js';

configure({ url: 'https://a.example', token: async () => 'token' });
const client = new Carillon({ token: 'token', transports: ['sse'], rooms: ['a'] });
client.addEventListener('notification', ({ detail }) => {
  const title: string = detail.title;
  const url: string | null = detail.entity_url;
});
client.addEventListener('state', ({ detail }) => {
  const state: State = detail;
});
client.addEventListener('error', ({ detail }) => detail instanceof CarillonError && detail.status);
const stop: () => void = client.store.subscribe((value: StoreValue) => value.unreadCount.toFixed());
const granted: Promise<boolean> = notificationStore.markAsRead('id');
const page: Promise<{ next?: string }> = client.list({ unread: true, before: '1' });
const end: () => void = nativeNotifications(client, { icon: '/icon.png' });
requestPermission().then((answer) => answer === 'granted');
wsClient.connect('token');
const connected: boolean = wsClient.isConnected();
new NotificationStore({ capacity: 10 }).clear();
const hook = useNotificationWebSocket({
  onNotification: (notification) => notification.title,
  onStatsUpdate: (stats) => stats.unread,
  onConnect: () => {},
  onDisconnect: () => {},
  onError: (error) => error.message,
  autoReconnect: true,
  reconnectInterval: 5000,
  maxReconnectAttempts: 10,
});
const { isConnected, connectionState, connect, disconnect, lastMessage } = hook;

// @ts-expect-error
void client.list({ limit: 'ten' });
// @ts-expect-error
void client.presence('asleep');
// @ts-expect-error
void new Carillon({ transports: ['pigeon'] });
// @ts-expect-error
void client.store.value.notifications.push(1);
// @ts-expect-error
client.store.value.unreadCount = 1;
// @ts-expect-error
void wsClient.connect(5);
// @ts-expect-error
void (connectionState === 'open');
