// A page that loads the client's module twice, from two addresses.

/** Checks that a second copy of the module, from another address, shares its state. */
globalThis.sharesPage = async (token) => {
  // As when a page imports one address and its elements import the one that it redirects to.
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
