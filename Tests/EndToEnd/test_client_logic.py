"""When the browser client tries again, with a clock and a network that the test moves by hand."""

import pytest

from harness.browser import BLANK, assert_no_errors, new_context, open_page
from harness.socketio_js import CLIENTS

PREPARE = """async () => {
  const { Carillon } = await import('/client/carillon.js');
  window.start = async (options = {}, net = {}) => {
    const all = Object.assign(window, fakes());
    Object.assign(all.net, net);
    const client = new Carillon({ ...all.options, ...options });
    const states = [], errors = [];
    client.addEventListener('state', ({ detail }) => states.push(detail));
    client.addEventListener('error', ({ detail }) => errors.push(detail.code));
    client.connect();
    await all.pass(0);
    const times = () => all.sockets.map(({ at }) => at - 1_000_000);
    Object.assign(window, { client, states, errors, times });
  };
  window.gaps = () => times().slice(1).map((time, i) => time - times()[i]);
  window.refuse = (socket) => socket.end(1006);
}"""


@pytest.fixture(scope="module")
def page_context(browser, shared_server):
    one = new_context(browser)
    yield one
    one.close()


@pytest.fixture
def page(page_context, shared_server):
    one = open_page(page_context, BLANK, server=shared_server)
    one.add_script_tag(path=CLIENTS / "fakes.js")
    one.evaluate(PREPARE)
    yield one
    assert_no_errors(one)
    one.close()


AWAY = "{socket: refuse, answer: () => ({status: 0})}"


@pytest.mark.parametrize(
    "chance, factor", [(0, 0.5), (0.5, 0.75), (0.999_999, 1)], ids=["least", "middle", "most"]
)
def test_the_waits_double_up_to_a_minute_and_half_of_each_is_chance(page, chance, factor):
    gaps = page.evaluate(
        f"""async (chance) => {{
          await start({{ random: () => chance }}, {AWAY});
          await pass(500_000);
          return gaps();
        }}""",
        chance,
    )
    expected = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]
    assert gaps[: len(expected)] == pytest.approx([each * factor for each in expected], rel=1e-4)


def test_so_many_attempts_without_success_are_an_error(page):
    assert page.evaluate(
        f"""async () => {{
          await start({{ maxReconnectAttempts: 3 }}, {AWAY});
          await pass(10_000_000);
          const given = [sockets.length, client.state, timers.size];
          net.socket = (socket) => socket.say('connection:established');
          client.connect();
          await settle();
          return [...given, client.state];
        }}"""
    ) == [4, "error", 0, "connected"]


def test_success_counts_when_it_lasts(page):
    """Else a server that accepts and closes at once would be asked again every five seconds."""
    gaps = page.evaluate(
        """async () => {
          let count = 0;
          await start({}, { socket: (socket) => {
            socket.say('connection:established');
            const time = ++count < 4 ? 1_000 : 6_000;
            clock.setTimeout(() => socket.end(1006), time);
          }});
          await pass(60_000);
          return gaps();
        }"""
    )
    assert gaps[:4] == [1_000 + 3_750, 1_000 + 7_500, 1_000 + 15_000, 6_000 + 3_750]


@pytest.mark.parametrize(
    "code, first, second",
    # After the first time it waits like after anything else.
    [(1006, 3_750, 7_500), (1011, 3_750, 7_500), (1013, 0, 7_500), (1012, 550, 7_500),
     (1001, 550, 7_500)],
)  # fmt: skip
def test_what_each_close_code_asks_for(page, code, first, second):
    waits = page.evaluate(
        """async (code) => {
          await start();
          await pass(100_000);
          // The second one ends as soon as it is there.
          net.socket = (socket) => {
            socket.say('connection:established', { cursor: 'e.1' });
            if (sockets.length === 2) socket.end(code);
          };
          const end = time();
          sockets[0].end(code);
          await pass(40_000);
          return [sockets[1].at - end, sockets[2].at - sockets[1].at];
        }""",
        code,
    )
    assert waits == [first, second]
    assert page.evaluate("sockets.at(-1).url.includes('since=e.1')")


@pytest.mark.parametrize("code", [4001, 4002, 4003, 1008])
def test_a_refused_token_is_fetched_anew_at_once_and_then_patiently(page, code):
    assert page.evaluate(
        """async (code) => {
          let count = 0;
          const token = async () => `token.${count++}.x`;
          await start({ token }, { socket: (socket) => socket.end(code) });
          const atOnce = [sockets.length, client.state];
          await pass(3_740);
          const later = sockets.length;
          await pass(20);
          net.socket = (socket) => socket.say('connection:established');
          await pass(7_500);
          const urls = new Set(sockets.map((socket) => socket.url));
          return [atOnce, later, sockets.length, client.state, count, urls.size];
        }""",
        code,
    ) == [[2, "error"], 2, 4, "connected", 4, 4]


def test_a_retry_after_is_obeyed(page):
    """By an attempt, by a load of the list, and by a poll."""
    assert page.evaluate(
        """async () => {
          const busy = { status: 429, error: { code: 'busy', message: 'm' }, retryAfter: 30 };
          await start({ transports: ['poll'] }, { answer: () => busy });
          await pass(29_000);
          const before = asked.length;
          await pass(2_000);
          return [before, asked.length > before, errors[0]];
        }"""
    ) == [2, True, "busy"]


def test_a_connection_that_went_silent_is_given_up(page):
    assert page.evaluate(
        """async () => {
          await start({}, { isMute: true });
          await pass(24_000);
          const quiet = sockets[0].sent.length;
          await pass(2_000);
          const asks = [...sockets[0].sent];
          // It answers, once.
          sockets[0].say('pong');
          await pass(26_000);
          const again = sockets[0].sent.length;
          await pass(9_000);
          return [quiet, asks, again, client.state, sockets.length];
        }"""
    ) == [0, ['{"type":"ping"}'], 2, "disconnected", 1]


def test_doubt_is_settled_sooner(page):
    """After sleep, a page that is looked at again does not wait half a minute to find out."""
    assert page.evaluate(
        """async () => {
          await start({}, { isMute: true });
          await pass(10_000);
          document.dispatchEvent(new Event('visibilitychange'));
          const asks = sockets[0].sent.length;
          await pass(4_100);
          const lost = client.state;
          await pass(4_000);
          return [asks, lost, client.state, sockets.length];
        }"""
    ) == [1, "disconnected", "connected", 2]


def test_a_socket_that_hangs_is_given_up_and_the_next_way_is_taken(page):
    assert page.evaluate(
        """async () => {
          const poll = () => ({ data: { notifications: [], cursor: 'e.1', total: 0, unread: 0 } });
          await start({ transports: ['websocket', 'poll'] }, { socket: () => {}, answer: poll });
          await pass(9_000);
          const before = [client.state, sockets.length];
          await pass(12_000);
          return [before, client.state, sockets.length];
        }"""
    ) == [["connecting", 1], "connected", 2]


def test_polls_that_are_answered_too_soon_are_no_storm(page):
    assert page.evaluate(
        """async () => {
          const poll = () => ({ data: { notifications: [], cursor: 'e.1', total: 0, unread: 0 } });
          await start({ transports: ['poll'] }, { answer: poll });
          await pass(10_000);
          return asked.filter(({ path }) => path.includes('wait=25')).length <= 11;
        }"""
    )


def test_nothing_is_tried_while_nobody_looks_and_there_is_no_network(page):
    assert page.evaluate(
        f"""async () => {{
          let hidden = true, onLine = false;
          Object.defineProperty(document, 'hidden', {{ get: () => hidden, configurable: true }});
          Object.defineProperty(navigator, 'onLine', {{ get: () => onLine, configurable: true }});
          await start({{}}, {AWAY});
          await pass(1_000_000);
          const asleep = sockets.length;
          net.socket = (socket) => socket.say('connection:established');
          net.answer = () => ({{ data: {{}} }});
          onLine = true;
          dispatchEvent(new Event('online'));
          await settle();
          return [asleep, client.state, sockets.length];
        }}"""
    ) == [1, "connected", 2]


def test_a_server_that_has_just_come_back_is_not_taken_for_a_block(page):
    """The first attempt fails, and then the server is there: the same way is tried again."""
    assert page.evaluate(
        """async () => {
          let count = 0;
          const socket = (each) => (count++ ? each.say('connection:established') : refuse(each));
          await start({ transports: ['websocket', 'poll'] }, { socket });
          const polls = asked.filter(({ path }) => path.includes('wait='));
          return [client.state, sockets.length, polls.length];
        }"""
    ) == ["connected", 2, 0]


def test_what_is_told_twice_is_announced_once(page):
    assert page.evaluate(
        """async () => {
          const titles = [];
          await start();
          client.addEventListener('notification', ({ detail }) => titles.push(detail.title));
          const say = (title) =>
            sockets.at(-1).say('notification:new', { id: title, title, cursor: `e.${title}` });
          say('a');
          say('a');
          sockets[0].end(1013);
          await pass(0);
          say('a');
          say('b');
          return [titles, client.cursor];
        }"""
    ) == [["a", "b"], "e.b"]


def test_a_granted_change_is_kept_until_it_is_told(page):
    """What the server said before it may arrive after its answer, on another connection."""
    assert page.evaluate(
        """async () => {
          const list = { notifications: [{ id: 'a' }, { id: 'b' }], total: 2, unread: 2 };
          const answer = (path) => ({ data: path.includes('?limit=') ? list : {} });
          await start({}, { answer });
          const shown = [];
          client.store.subscribe(({ unreadCount }) => {
            if (shown.at(-1) !== unreadCount) shown.push(unreadCount);
          });
          const granted = await client.store.markAsRead('a');
          sockets[0].say('stats:updated', { total: 2, unread: 2 });
          await settle();
          sockets[0].say('notification:read', { id: 'a' });
          sockets[0].say('stats:updated', { total: 2, unread: 1 });
          await settle();
          return [granted, shown, asked.filter(({ path }) => path.includes('?limit=')).length];
        }"""
    ) == [True, [2, 1], 1]


def test_a_resync_loads_the_list_again_and_moves_the_cursor(page):
    assert page.evaluate(
        """async () => {
          const loads = () => asked.filter(({ path }) => path.includes('?limit=')).length;
          await start();
          const before = loads();
          sockets[0].say('resync', { cursor: 'f.9' });
          await settle();
          const after = loads();
          // What is no cursor, and what is no count, is none.
          sockets[0].say('resync', { cursor: { a: 1 } });
          sockets[0].say('stats:updated', { total: 'x', unread: {} });
          await settle();
          return [before, after, client.cursor, client.store.value.unreadCount];
        }"""
    ) == [1, 2, "f.9", 0]


def test_what_is_older_than_the_list_is_not_counted_again(page):
    """It was missed, and the list that was loaded meanwhile has counted it."""
    assert page.evaluate(
        """async () => {
          const item = (id) => ({ id, title: id, created_at: `2026-01-0${id}T00:00:00.000Z` });
          const list = { notifications: [item('3'), item('2')], total: 3, unread: 3 };
          const answer = (path) => ({ data: path.includes('?limit=') ? list : {} });
          await start({ capacity: 2 }, { answer });
          const shown = [];
          client.store.subscribe(({ unreadCount, notifications }) =>
            shown.push([unreadCount, ...notifications.map(({ id }) => id)].join()));
          sockets[0].say('notification:new', item('1'));
          sockets[0].say('stats:updated', { total: 3, unread: 3 });
          await settle();
          return [...new Set(shown)];
        }"""
    ) == ["3,3,2"]


def test_https_becomes_wss_and_the_path_of_the_server_stays(page):
    urls = page.evaluate(
        """async () => {
          const found = [];
          const other = 'https://a.example';
          for (const url of [other, 'http://a.example/', '/', `${other}/notify/`]) {
            await start({ url, token: 'a+b/c=' , rooms: ['x', 'a b'] });
            found.push(sockets[0].url, asked[0].path);
          }
          return found;
        }"""
    )
    path = "/api/v1/ws/notifications?token=a%2Bb%2Fc%3D&since=&rooms=a+b%2Cx"
    origin = page.evaluate("location.host")
    assert urls[::2] == [
        f"wss://a.example{path}", f"ws://a.example{path}", f"ws://{origin}{path}",
        f"wss://a.example/notify{path}",
    ]  # fmt: skip
    assert urls[7].startswith("/notify/api/v1/notifications")


def test_a_list_that_cannot_be_loaded_is_loaded_later(page):
    assert page.evaluate(
        """async () => {
          const busy = { status: 503, error: { code: 'busy', message: 'm' }, retryAfter: 7 };
          await start({}, { answer: () => busy });
          const seen = [client.state, errors.length > 0];
          await pass(6_000);
          const before = asked.length;
          const page = { notifications: [{ id: 'a', title: 'A' }], total: 1, unread: 1 };
          net.answer = () => ({ data: page });
          await pass(2_000);
          return [...seen, asked.length > before, client.store.value.unreadCount];
        }"""
    ) == ["connected", True, True, 1]
