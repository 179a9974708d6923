// Sets the properties of an item before its element is defined.

const item = document.querySelector('carillon-item');
item.notification = { id: 'n', type: 'info', title: 'Early', is_read: false };
item.strings = { Dismiss: 'Weg' };
await import('/client/elements.js');
