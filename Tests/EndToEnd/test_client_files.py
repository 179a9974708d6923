"""The files for browsers, requested as a browser does: every file's type, caching and bytes."""

import gzip
import re
from contextlib import closing
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import expect

from harness.browser import BLANK, assert_no_errors, open_page
from harness.raw import RawConnection, exchange
from harness.server import ROOT
from harness.shards import own_connections
from harness.tokens import publisher_token, user_token

FOLDER = ROOT / "Sources" / "WebClient"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def names():
    """Returns each file's served name and the path of its source."""
    found = {}
    for path in sorted(FOLDER.glob("client/**/*")):
        if path.is_file():
            found[path.relative_to(FOLDER / "client").as_posix()] = path
    for path in sorted(FOLDER.glob("pages/**/*")):
        if path.is_file() and path.suffix != ".html":
            found[path.relative_to(FOLDER).as_posix()] = path
    assert len(found) > 10
    return found


def get(server, path, method="GET", **headers):
    return server.request(
        method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def folder(server):
    """Returns the path of the current build's folder."""
    answer = get(server, "/client/carillon.js")
    assert answer.status == 307 and answer.headers["cache-control"] == "no-cache"
    found = re.fullmatch(r"([0-9a-f]{16}/)carillon\.js", answer.headers["location"])
    assert found, answer.headers["location"]
    return "/client/" + found[1]


@pytest.fixture
def demo(make_server):
    """A server in development mode, the only mode with the demo."""
    return make_server(arguments=["--dev"], data=":memory:")


# The files.


def code(text):
    """Returns a file's lines without comments, indentation and blank lines."""
    comments = ("//", "/*", "*")
    lines = (line.lstrip(" ") for line in text.decode().split("\n"))
    return [line for line in lines if line and not line.startswith(comments)]


def test_every_file_is_served_as_it_stands_in_the_source(server):
    """Scripts are served without their comments."""
    base = folder(server)
    for name, source in names().items():
        plain = get(server, base + name)
        assert plain.status == 200, name
        if source.suffix == ".js":
            assert code(plain.bytes) == code(source.read_bytes()), name
            assert not re.search(rb"^ *//", plain.bytes, re.MULTILINE), name
        else:
            assert plain.bytes == source.read_bytes(), name
        assert "content-encoding" not in plain.headers
        packed = get(server, base + name, Accept_Encoding="gzip, deflate, br, zstd")
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.bytes) == plain.bytes, name
        # As small as zlib's best level, because the server compresses each file only once.
        assert len(packed.bytes) <= len(gzip.compress(plain.bytes, 9)) + 16, name
        for answer in (plain, packed):
            assert answer.headers["content-type"] == TYPES[source.suffix], name
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
            assert answer.headers["access-control-allow-origin"] == "*"


def test_an_old_page_finds_its_modules_after_an_upgrade(server):
    base = folder(server)
    for name in names():
        for path in (f"/client/{name}", f"/client/{'0' * 16}/{name}"):
            answer = get(server, path)
            assert answer.status == 307, path
            # Relative, because a proxy may serve the files below a path of its own.
            assert not answer.headers["location"].startswith("/")
            assert urljoin(path, answer.headers["location"]) == base + name
            assert "immutable" not in answer.headers["cache-control"]
            assert answer.headers["access-control-allow-origin"] == "*"


def test_every_import_of_a_module_leads_to_a_file_of_the_same_folder(server):
    base = folder(server)
    seen = 0
    for name, source in names().items():
        if source.suffix != ".js":
            continue
        text = source.read_text()
        for found in re.findall(
            r"^\s*(?:import|export)\b[^'\"]*?\bfrom '([^']+)'", text, re.MULTILINE
        ):
            path = urlsplit(found).path
            assert path.startswith("."), f"{name} imports {path}"
            target = (base + name).rsplit("/", 1)[0]
            while path.startswith("../"):
                target, path = target.rsplit("/", 1)[0], path[3:]
            address = f"{target}/{path.removeprefix('./')}"
            assert address.startswith(base)
            assert get(server, address).status == 200, f"{name} imports {found}"
            seen += 1
    assert seen > 10


def test_a_cached_file_is_answered_with_304(server):
    path = folder(server) + "carillon.js"
    for coding in ("identity", "gzip"):
        first = get(server, path, Accept_Encoding=coding)
        again = get(
            server, path, Accept_Encoding=coding, If_None_Match=f'"x", W/{first.headers["etag"]}'
        )
        assert again.status == 304 and again.bytes == b""
        for name in ("etag", "cache-control", "vary", "access-control-allow-origin"):
            assert again.headers[name] == first.headers[name]
        other = get(server, path, Accept_Encoding=coding, If_None_Match='"x"')
        assert other.status == 200 and other.bytes == first.bytes


@pytest.mark.parametrize(
    "accepted, coding",
    [
        ("", None),
        ("br, deflate", None),
        ("gzip;q=0", None),
        ("gzip;q=0, *", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=none", None),
        ("GZIP;q=0.001", "gzip"),
        ("*", "gzip"),
        ("identity;q=0, *;q=0.1", "gzip"),
    ],
)
def test_the_coding_is_one_that_the_client_accepts(server, accepted, coding):
    path = folder(server) + "carillon.js"
    answer = get(server, path, Accept_Encoding=accepted)
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == coding
    body = gzip.decompress(answer.bytes) if coding else answer.bytes
    assert code(body) == code((FOLDER / "client" / "carillon.js").read_bytes())


def test_a_client_that_accepts_no_coding_gets_406(server):
    answer = get(server, folder(server) + "carillon.js", Accept_Encoding="*;q=0")
    assert answer.status == 406
    assert answer.headers["vary"] == "Accept-Encoding"


def test_head_has_the_headers_of_get(server):
    base = folder(server)
    for path in (base + "carillon.js", "/client/carillon.js", "/console"):
        for coding in ("identity", "gzip"):
            whole = get(server, path, Accept_Encoding=coding)
            head = get(server, path, method="HEAD", Accept_Encoding=coding)
            assert head.status == whole.status and head.bytes == b""
            for answer in (whole, head):
                answer.headers.pop("date")
            assert head.headers == whole.headers


@pytest.mark.parametrize(
    "path",
    [
        "/client",
        "/client/",
        "/client/~/carillon.js",
        "/client/nothing.js",
        "/client/../client/carillon.js",
        "/client/../../../../etc/passwd",
        "/client/..%2f..%2f..%2fetc%2fpasswd",
        "/client/%2e%2e/%2e%2e/Package.swift",
        "/client//etc/passwd",
        "/client/carillon.js%00.css",
        "/client/carillon.js/",
        f"/client/{'0' * 16}/../carillon.js",
        f"/client/{'0' * 16}/WebClient.c",
        f"/client/{'0' * 16}/",
        f"/client/{'0' * 16}",
        "/client/pages/demo.html",
        "/pages/demo.js",
    ],
)
def test_other_paths_are_404(server, path):
    with RawConnection(server) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = connection.read_answer()
    assert answer.status == 404, answer
    assert b"root:" not in answer.bytes


def test_only_client_files_allow_other_origins(server):
    foreign = {"Origin": "https://shop.example"}
    module = get(server, folder(server) + "elements.js", **foreign)
    assert module.status == 200 and module.headers["access-control-allow-origin"] == "*"
    inbox = server.request("GET", "/api/v1/notifications", user_token("reader"), headers=foreign)
    assert "access-control-allow-origin" not in inbox.headers
    page = get(server, "/console", **foreign)
    assert "access-control-allow-origin" not in page.headers


def test_a_page_of_another_site_imports_the_client(server, context):
    page = open_page(context, BLANK, url="http://localhost:1")
    found = page.evaluate(
        """async (origin) => {
          const client = await import(origin + '/client/carillon.js')
          const again = await import(origin + '/client/0123456789abcdef/carillon.js')
          return [typeof client.Carillon, again.Carillon === client.Carillon]
        }""",
        server.url,
    )
    # Both addresses redirect to the same folder, where each module is loaded once.
    assert found == ["function", True]
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    base = server.url + folder(server)
    assert f"{base}connection.js" in loaded, loaded
    assert_no_errors(page)


def test_a_page_loads_the_elements_under_several_addresses(server, context, fresh_user):
    """Plain, versioned and hashed addresses: the page has one client and one set of elements."""
    page = open_page(context, BLANK, server=server)
    user = fresh_user()
    server.publish(user, "hello")
    names = ["/client/elements.js", "/client/elements.js?v=2", folder(server) + "elements.js"]
    found = page.evaluate(
        """async ([names, token]) => {
          const loaded = []
          for (const name of names) loaded.push(await import(name))
          document.body.innerHTML = `<carillon-bell token="${token}"></carillon-bell>`
          return loaded.map(({ CarillonItem }) => CarillonItem === loaded[0].CarillonItem)
        }""",
        [names, user_token(user)],
    )
    assert found == [True, True, True]
    expect(page.locator("carillon-bell .badge")).to_have_text("1")
    assert len(own_connections(server, user)) == 1
    assert_no_errors(page)


def test_a_connection_carries_many_files(server):
    base = folder(server)
    with closing(server.connection()) as over:
        for _ in range(3):
            for name, source in names().items():
                answer = server.request("GET", base + name, over=over)
                assert code(answer.bytes) == code(source.read_bytes()), name


def test_files_requested_at_once_come_in_order(server):
    base = folder(server)
    with RawConnection(server) as connection:
        wanted = [(name, code(source.read_bytes())) for name, source in names().items()] * 5
        for name, _ in wanted:
            connection.send(f"GET {base}{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for name, content in wanted:
            assert code(connection.read_answer().bytes) == content, name


# The pages.


def page(answer):
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return answer.bytes.decode()


@pytest.mark.parametrize("path, name", [("/console", "console.html"), ("/", "demo.html")])
def test_a_page_names_the_present_folder_and_keeps_its_own_policy(demo, path, name):
    base = folder(demo)
    text = page(get(demo, path))
    source = (FOLDER / "pages" / name).read_text()
    assert "/client/~/" in source
    assert text == source.replace("/client/~/", base[1:])
    packed = get(demo, path, Accept_Encoding="gzip")
    assert gzip.decompress(packed.bytes).decode() == text
    known = get(demo, path, If_None_Match=get(demo, path).headers["etag"])
    assert known.status == 304
    # Everything that the page loads exists.
    loaded = ["/" + address for address in re.findall(r'(?:src|href)="(client/[^"]+)"', text)]
    assert loaded
    for address in loaded:
        assert address.startswith(base) and get(demo, address).status == 200, address
    # The page has nothing that its policy forbids.
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)


# The demo's tokens.


def test_the_demo_is_there_in_development_alone(server):
    for method in ("GET", "HEAD", "POST"):
        answer = get(server, "/demo/tokens", method=method)
        assert answer.status == 404, method
    assert "demo/tokens" not in page(get(server, "/"))
    assert get(server, "/console").status == 200


# The page of a server that is not in development.


def test_without_the_demo_a_server_says_what_it_is_and_where_its_documentation_is(server):
    text = page(get(server, "/"))
    source = (FOLDER / "pages" / "index.html").read_text()
    assert "/client/~/" in source
    assert re.sub(r"/?client/[0-9a-f]{16}/", "/client/~/", text) == source
    assert "<title>Carillon</title>" in text and 'id="documentation"' in text
    # It needs no script, and everything that it names exists.
    assert "<script" not in text
    addresses = set(re.findall(r'(?:src|href)="([^"]+)"', text))
    assert {"console", "healthz", "readyz", "client/carillon.js"} < addresses
    for address in addresses:
        assert get(server, urljoin("/", address)).status in (200, 307), address


def test_the_demos_tokens_are_good(demo):
    answer = get(demo, "/demo/tokens")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    alice, bob = answer.data["users"]
    assert (alice["id"], bob["id"]) == ("alice", "bob")
    body = {"user_id": "bob", "type": "info", "title": "It rings"}
    sent = demo.request("POST", "/api/v1/notifications", answer.data["publisher"], body)
    assert sent.status == 201
    inboxes = [
        demo.request("GET", "/api/v1/notifications", user["token"]).data["notifications"]
        for user in (alice, bob)
    ]
    assert [len(inbox) for inbox in inboxes] == [0, 1]
    # A user's token does not permit publishing.
    refused = demo.request("POST", "/api/v1/notifications", alice["token"], body)
    assert refused.status == 403


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "https://evil.example", "null"])
def test_no_page_of_another_origin_reads_the_tokens(demo, origin):
    headers = {} if origin is None else {"Origin": origin}
    answer = get(demo, "/demo/tokens", **headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("LOCALHOST", 200),
        ("evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("localhost.", 403),
        ("127.0.0.1.nip.io", 403),
        ("0.0.0.0:{port}", 403),
    ],
)
def test_a_rebound_host_name_gets_no_tokens(demo, host, status):
    named = host.format(port=demo.port).encode()
    answer = exchange(demo, b"GET /demo/tokens HTTP/1.1\r\nHost: " + named + b"\r\n\r\n")
    assert answer.status == status, answer
    assert (b"eyJ" in answer.bytes) == (status == 200)
    # The host in the target is checked as well, and must match the Host field.
    target = b"GET http://" + named + b"/demo/tokens HTTP/1.1\r\nHost: "
    assert exchange(demo, target + named + b"\r\n\r\n").status == status
    assert exchange(demo, target + b"localhost:1\r\n\r\n").status == 400


def test_a_request_without_a_host_gets_no_tokens(demo):
    assert exchange(demo, b"GET /demo/tokens HTTP/1.0\r\n\r\n").status == 403


def test_the_console_loads_without_a_token_but_reads_only_with_one(server):
    page(get(server, "/console"))
    assert server.request("GET", "/api/v1/users/online").status == 401
    assert server.request("GET", "/api/v1/users/online", publisher_token()).status == 200
