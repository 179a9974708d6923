// A React page with incident-api's hook, as in its document. `mount` shows a component for each set
// of options under one root.

globalThis.mount = async (all, { isStrict = true, from = 'global' } = {}) => {
  const { React, ReactDOM } = globalThis;
  const { configure } = await import('/client/carillon.js');
  const { useNotificationWebSocket } = await import('/client/react.js');
  if (from === 'configure') {
    configure({ React });
    delete globalThis.React;
  }
  configure({ reconnectInterval: 100 });
  globalThis.log = [];
  globalThis.results = [];
  globalThis.renders = 0;

  const Bell = ({ index, options }) => {
    const [count, setUnreadCount] = React.useState(0);
    const say = (name) => (value) => void log.push([index, name, value?.title ?? value?.unread]);
    const result = useNotificationWebSocket({
      onNotification: say('notification'),
      onStatsUpdate: (stats) => {
        say('stats')(stats);
        setUnreadCount(stats.unread);
      },
      onConnect: say('connect'),
      onDisconnect: say('disconnect'),
      onError: say('error'),
      ...options,
    });
    results[index] = result;
    globalThis.renders++;
    const { connectionState, isConnected } = result;
    const text = `Status: ${connectionState}${isConnected ? ' 🟢 Connected' : ''} (${count})`;
    return React.createElement('p', { id: `bell-${index}` }, text);
  };

  const container = document.body.appendChild(document.createElement('div'));
  const root = ReactDOM.createRoot(container);
  globalThis.show = (bells) => {
    const each = bells.map((options, index) =>
      options && React.createElement(Bell, { key: index, index, options })
    );
    root.render(isStrict ? React.createElement(React.StrictMode, null, each) : each);
  };
  globalThis.said = (index, name) =>
    log.filter(([i, n]) => i === index && n === name).map(([, , value]) => value);
  show(all);
};
