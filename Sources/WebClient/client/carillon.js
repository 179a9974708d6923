// @ts-check
// The client's entry point for pages. carillon.d.ts documents each export.

export { Carillon } from './client.js';
export { CarillonError } from './connection.js';
export { NotificationStore } from './store.js';
export { configure, defaultClient, notificationStore, settings, wsClient } from './defaults.js';
export { nativeNotifications, requestPermission } from './native.js';
