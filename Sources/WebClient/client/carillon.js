// @ts-check
// Carillon in a page. carillon.d.ts says what each of these does.

export { Carillon } from './client.js';
export { CarillonError } from './error.js';
export { NotificationStore } from './store.js';
export { configure, defaultClient, notificationStore, settings, wsClient } from './defaults.js';
export { nativeNotifications, requestPermission } from './native.js';
