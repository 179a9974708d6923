// @ts-check
// Carillon in a page: the connection, its store, and what a page needs without elements.
//
// The types are in carillon.d.ts.

export { Carillon } from './client.js';
export { CarillonError } from './error.js';
export { NotificationStore } from './store.js';
export { configure, defaultClient, notificationStore, settings, wsClient } from './defaults.js';
export { nativeNotifications, requestPermission } from './native.js';
