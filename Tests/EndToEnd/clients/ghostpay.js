// The page of ghostpay's document, with its code unchanged. Its output goes to `show`.
'use strict';

globalThis.ghostPayPage = function ghostPayPage(io, server, jwtToken, show) {
  const console = { log: (...said) => show('log', ...said) };
  const showNotificationAlert = (notification) => show('alert', notification.title);
  const updateNotificationBadge = (count) => show('badge', count);

  // Connect to the notification WebSocket
  const socket = io(`${server}/notifications`, {
    extraHeaders: {
      Authorization: `Bearer ${jwtToken}`,
    },
  });

  // Handle connection events
  socket.on('connect', () => {
    console.log('Connected to notification system');
    // Subscribe to notifications
    socket.emit('subscribe_notifications', {}, (response) => {
      if (response.success) {
        console.log('Successfully subscribed to notifications');
      }
    });
  });

  // Handle disconnection
  socket.on('disconnect', () => {
    console.log('Disconnected from notification system');
  });

  // Listen for new notifications
  socket.on('notification', (notification) => {
    console.log('New notification received:', notification);
    // Update UI or show notification to user
    if (notification.isNew) {
      showNotificationAlert(notification);
    }
  });

  // Listen for unread count updates
  socket.on('unread_count', (data) => {
    console.log('Unread count updated:', data.count);
    // Update badge or counter in UI
    updateNotificationBadge(data.count);
  });

  // Handle ping messages to keep connection alive
  socket.on('ping', () => {
    console.log('Ping received from server');
  });

  return socket;
};
