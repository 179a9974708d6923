// @ts-check
// The words of the elements: English here, others by `setStrings`.

const languages = { en: {
  title: 'Notifications',
  unread: '{n} unread',
  markAll: 'Mark all read',
  clearAll: 'Clear all',
  clearSure: 'Really clear all?',
  seeAll: 'See all notifications',
  empty: 'You’re all caught up',
  noMatch: 'Nothing matches these filters',
  dismiss: 'Dismiss',
  dismissAll: 'Dismiss all {n}',
  more: '{n} more',
  less: 'Show less',
  newOne: 'New notification: {title}',
  newMany: '{n} new notifications',
  connected: 'Real-time',
  reconnecting: 'Reconnecting…',
  connecting: 'Connecting…',
  offline: 'Offline',
  disconnected: 'Disconnected',
  error: 'Not connected',
  loading: 'Loading…',
  all: 'All',
  onlyUnread: 'Unread',
  type: 'All types',
  loadMore: 'Load more',
  end: 'That’s everything',
  failed: 'Notifications could not be loaded',
  retry: 'Try again',
  high: 'High',
  urgent: 'Urgent',
} };

/** Adds a language (`de`, `pt-BR`), or changes words of one. */
export const setStrings = (language, strings) =>
  void (languages[language] = { ...languages[language], ...strings });

/** The word as given, else of the language, else of its base, else English. */
export const wordFor = (key, language, given) =>
  [given, languages[language], languages[language.split('-')[0]], languages.en]
    .find((words) => words?.[key])?.[key] ?? key;
