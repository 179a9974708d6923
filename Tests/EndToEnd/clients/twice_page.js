// A page that has the client's module twice, under two addresses.

/** Whether a second copy of the module, under another address, shares all with the first. */
globalThis.sharesPage = async (token) => {
  // As when a page asks for one address, and its elements for the one that this leads to.
  const { url } = await fetch('/client/carillon.js');
  const again = await import(url);
  again.wsClient.connect(token);
  carillon.configure({ capacity: 7 });
  return [
    again.Carillon === carillon.Carillon,
    again.notificationStore === carillon.notificationStore,
    carillon.defaultClient() === again.defaultClient() && !!carillon.defaultClient(),
    again.settings().capacity,
  ];
};
