// @ts-check
// The client's entry point for pages. carillon.d.ts documents each export.

export { Carillon } from './client.js';
export { CarillonError } from './transports.js';
export { NotificationStore } from './store.js';
export {
  configure,
  defaultClient,
  nativeNotifications,
  notificationStore,
  requestPermission,
  settings,
  wsClient,
} from './defaults.js';
