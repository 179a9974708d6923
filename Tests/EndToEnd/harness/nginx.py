"""nginx in front of a server: one process, and for each configuration a site on a port of its own.

The article "Running it" shows the configuration to use. The sites take their directives from that
text, so the tests fail when it is wrong.
"""

import os
import re
import shutil
import subprocess

import requests

from harness.browser import new_context
from harness.raw import PATIENCE
from harness.server import ROOT, free_port
from harness.waiting import wait_until

ARTICLE = ROOT / "Sources" / "Carillon" / "Carillon.docc" / "Running-it.md"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
# A name that is not this machine's own, as a site has; the tests' browser finds it here.
HOST = "site.test"
USER, PASSWORD = "visitor", "a-password"
PREFIX = "/carillon/"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>
<script type="module" src="{prefix}client/elements.js"></script>
<script type="module">
  import * as core from '{prefix}client/carillon.js';
  window.core = core;
</script>
<carillon-bell token="{token}"></carillon-bell>
<carillon-toast></carillon-toast>
"""


class Site:
    """One `server` of nginx. `password`: whether its pages have one."""

    def __init__(self, directives, *, prefix="/", secure=False, password=False):
        self.directives, self.prefix, self.password = directives, prefix, password
        self.port, self.scheme = free_port(), "https" if secure else "http"
        self.url = f"{self.scheme}://{HOST}:{self.port}"

    @property
    def server_url(self):
        """The server's address at this site, for clients that cannot look up the site's name."""
        return f"{self.scheme}://127.0.0.1:{self.port}{self.prefix.rstrip('/')}"

    def new_context(self, browser):
        """Makes the browser profile of a visitor, who knows the password."""
        known = {"username": USER, "password": PASSWORD} if self.password else None
        return new_context(browser, ignore_https_errors=True, http_credentials=known)


class Documented:
    """The configuration in the article: its `map`, its `server`, and the lines of its location."""

    def __init__(self):
        section = ARTICLE.read_text().partition("\n## Behind a proxy\n")[2]
        whole = section.partition("```nginx\n")[2].partition("```\n")[0]
        self.map, start, rest = whole.partition("server {\n")
        self.server = rest.rpartition("}")[0]
        (location,) = re.findall(rf"location {PREFIX} {{\n(.*?)\n  }}", rest, re.DOTALL)
        (passing,) = re.findall(r"proxy_pass .*?;", location)
        self.lines = location.replace(passing, "")
        assert start and self.map.startswith("map ")


class Nginx:
    """The process and its sites, by name; `pages` is the folder of the sites' own pages."""

    def __init__(self, directory, server):
        self.directory, self.server, self.process = directory, server, None
        self.pages = directory / "pages"
        self.pages.mkdir()
        self.log = directory / "nginx.log"
        documented = Documented()
        self.map = documented.map
        tuned = documented.lines
        password = f'auth_basic "x"; auth_basic_user_file {directory}/users;'
        self.certificate = directory / "pem"
        secure = f"ssl_certificate {directory}/pem; ssl_certificate_key {directory}/key;"
        gzip = "gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;"
        whole = self.whole
        self.sites = {
            "defaults": Site(whole()),
            "tuned": Site(whole(tuned)),
            "tls": Site(f"{secure} {whole(tuned)}", secure=True),
            "password": Site(f"{password} {whole(tuned)}", password=True),
            "prefix": Site(self.below_prefix(tuned), prefix=PREFIX),
            "gzip": Site(f"{gzip} {whole(tuned)}"),
            "documented": self.documented(documented.server),
            # Where the server is not usable from a page, or a page adds nothing.
            "gzip and defaults": Site(f"{gzip} {whole()}"),
            "password for all": Site(f"{password} {whole(tuned.replace('auth_basic off;', ''))}"),
        }

    def whole(self, lines=""):
        """The server below `/`, beside the site's own pages."""
        pages = rf"location ~ \.html$ {{ root {self.pages}; }}"
        return f"{pages} location / {{ proxy_pass {self.server.url}; {lines} }}"

    def below_prefix(self, lines):
        location = f"location {PREFIX} {{ proxy_pass {self.server.url}/; {lines} }}"
        return f"root {self.pages}; {location}"

    def documented(self, text):
        """The article's own site, with the addresses and paths of this test."""
        for shown, own in (
            ("listen 443 ssl;", ""),
            ("www.example.com;", f"{HOST};"),
            ("/etc/ssl/www.example.com.pem", f"{self.directory}/pem"),
            ("/etc/ssl/www.example.com.key", f"{self.directory}/key"),
            ("/etc/nginx/users", f"{self.directory}/users"),
            ("/var/www", f"{self.pages}"),
            ("http://127.0.0.1:8080", self.server.url),
        ):
            assert text.count(shown) == 1, shown
            text = text.replace(shown, own)
        return Site(text, prefix=PREFIX, secure=True, password=True)

    def start(self):
        assert NGINX, "nginx is missing: `make test` installs it"
        directory = self.directory
        (directory / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        make_certificate(self.certificate, directory / "key")
        as_root = "user root root;" if os.geteuid() == 0 else ""
        folders = [f"{name}_temp_path {directory}/{name};" for name in TEMPORARY]
        (directory / "nginx.conf").write_text(
            f"{as_root} daemon off; worker_processes 1; pid {directory}/pid; events {{}}\n"
            f"http {{ access_log off; types {{ text/html html; }} {' '.join(folders)}\n{self.map}\n"
            + "".join(f"{listening(site)}\n{site.directives} }}\n" for site in self.sites.values())
            + "}\n"
        )
        command = [NGINX, "-p", directory, "-e", "stderr", "-c", directory / "nginx.conf"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        wait_until("nginx is ready", self.is_ready, within=PATIENCE)
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            url = f"{self.sites['defaults'].server_url}/healthz"
            return requests.get(url, timeout=PATIENCE).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self):
        """Ends nginx and each connection through it, as a restart does."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()

    def end(self):
        """Clean-up: ends nginx if a failed test left it running."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def new_page(self, name, token):
        """Writes a page with a bell, as the article shows it; returns its address."""
        site = self.sites[name]
        file = f"page-{len(list(self.pages.iterdir()))}.html"
        (self.pages / file).write_text(PAGE.format(prefix=site.prefix, token=token))
        return f"{site.url}/{file}"


def listening(site):
    secure = " ssl http2" if site.scheme == "https" else ""
    return f"server {{ listen 127.0.0.1:{site.port}{secure};"


def make_certificate(certificate, key):
    """Makes a certificate that the site signed itself."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN={HOST} -addext subjectAltName=DNS:{HOST},IP:127.0.0.1"
        f" -out {certificate} -keyout {key}"
    )
    subprocess.run(command.split(), check=True, capture_output=True, timeout=PATIENCE)
