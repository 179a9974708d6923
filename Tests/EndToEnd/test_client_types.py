"""The browser client's types: what is exported is declared, and what is declared is so."""

import json
import shutil
import subprocess

import pytest

from harness.browser import BLANK, WEB_CLIENT, open_page

CLIENT = WEB_CLIENT / "client"
COMPILER = shutil.which("tsc")
OPTIONS = {
    "noEmit": True, "target": "esnext", "module": "esnext", "moduleResolution": "node",
    "lib": ["esnext", "dom", "dom.iterable"], "types": [], "skipDefaultLibCheck": True,
}  # fmt: skip
ENTRIES = sorted(path.name for path in CLIENT.glob("*.d.ts"))


def compile(directory, files, **options):
    """What the compiler has to say about files."""
    configuration = {"compilerOptions": {**OPTIONS, **options}, "files": list(map(str, files))}
    (directory / "tsconfig.json").write_text(json.dumps(configuration))
    command = [COMPILER, "-p", directory]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module", autouse=True)
def compiler():
    assert COMPILER, "tsc is not on the PATH"


def exported(entry, context, server):
    page = open_page(context, BLANK, server=server)
    name = entry.removesuffix(".d.ts")
    return page.evaluate(f"import('/client/{name}.js').then((all) => Object.keys(all).sort())")


USE = """
import { Carillon, CarillonError, NotificationStore, configure } from 'CLIENT/carillon.js';
import { nativeNotifications, requestPermission } from 'CLIENT/carillon.js';
import { notificationStore, wsClient } from 'CLIENT/carillon.js';
import type { State, StoreValue } from 'CLIENT/carillon.js';
import { useNotificationWebSocket } from 'CLIENT/react.js';

configure({ url: 'https://a.example', token: async () => 'token' });
const client = new Carillon({ token: 'token', transports: ['sse'], rooms: ['a'] });
client.addEventListener('notification', ({ detail }) => {
  const title: string = detail.title;
  const url: string | null = detail.entity_url;
});
client.addEventListener('state', ({ detail }) => {
  const state: State = detail;
});
client.addEventListener('error', ({ detail }) => detail instanceof CarillonError && detail.status);
const stop: () => void = client.store.subscribe((value: StoreValue) => value.unreadCount.toFixed());
const granted: Promise<boolean> = notificationStore.markAsRead('id');
const page: Promise<{ next?: string }> = client.list({ unread: true, before: '1' });
const end: () => void = nativeNotifications(client, { icon: '/icon.png' });
requestPermission().then((answer) => answer === 'granted');
wsClient.connect('token');
const connected: boolean = wsClient.isConnected();
new NotificationStore({ capacity: 10 }).clear();
const hook = useNotificationWebSocket({
  onNotification: (notification) => notification.title,
  onStatsUpdate: (stats) => stats.unread,
  onConnect: () => {},
  onDisconnect: () => {},
  onError: (error) => error.message,
  autoReconnect: true,
  reconnectInterval: 5000,
  maxReconnectAttempts: 10,
});
const { isConnected, connectionState, connect, disconnect, lastMessage } = hook;
"""
MISUSES = [
    "client.list({ limit: 'ten' })",
    "client.presence('asleep')",
    "new Carillon({ transports: ['pigeon'] })",
    "client.store.value.notifications.push(1)",
    "client.store.value.unreadCount = 1",
    "wsClient.connect(5)",
    "connectionState === 'open'",
]


def test_the_declarations_say_what_there_is(tmp_path, context, server):
    """One program, for the compiler takes its time: it uses all, misuses some, and names all.

    A mistake that is none would be one: that is what `@ts-expect-error` means.
    """
    lines = [USE]
    lines += [f"// @ts-expect-error\nvoid ({misuse});" for misuse in MISUSES]
    assert "carillon.d.ts" in ENTRIES and "react.d.ts" in ENTRIES
    for number, entry in enumerate(ENTRIES):
        # An export that is not declared is too much here, and one that is only declared is missing.
        names = ", ".join(f"{name}: 1" for name in exported(entry, context, server))
        lines.append(f"import * as entry{number} from 'CLIENT/{entry.removesuffix('.d.ts')}.js';")
        lines.append(f"const names{number}: Record<keyof typeof entry{number}, 1> = {{ {names} }};")
    program = tmp_path / "use.ts"
    program.write_text("\n".join(lines).replace("CLIENT", str(CLIENT)))
    assert compile(tmp_path, [program], strict=True) == ""
