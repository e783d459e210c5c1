import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path
from queue import SimpleQueue

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from waiting_model import Waiting, encoded, random_picture, small_spec

from larq_dense.runtime import Predictor
from larq_dense.serving import Limits, create_app
from larq_dense.serving.page import page_files


class Page(HTMLParser):
    """Collects the elements of a page, and the text within each label."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {**dict(attrs), "within": " ".join(self.open)}))
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page() -> Page:
    page = Page()
    page.feed(page_files(small_spec())["/"][1].decode())
    assert not page.open
    return page


def test_everything_is_named_for_those_who_do_not_see_it(page: Page) -> None:
    elements = dict(page.elements)
    assert elements["html"]["lang"] == "en"
    assert elements["p"]["role"] == "status"
    assert {"main", "h1", "title", "fieldset", "legend"} <= elements.keys()
    fields = [values for tag, values in page.elements if tag == "input"]
    assert len(fields) == 4 and all("label" in (each["within"] or "").split() for each in fields)
    assert all("alt" in values for tag, values in page.elements if tag == "img")


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    files = page_files(small_spec())
    addresses = [
        values[name]
        for _, values in page.elements
        for name in ("src", "href", "action")
        if values.get(name)
    ]
    assert {f"/{each}" for each in addresses} == files.keys() - {"/"}
    for path, (_, content) in files.items():
        assert not re.search(rb"(https?:)?//(?!\s)\w", content), path
        assert not re.search(rb"@import|url\(|\bstyle=|\bon\w+=", content), path


def test_names_of_classes_are_shown_and_are_no_markup() -> None:
    text = page_files(small_spec())["/"][1].decode()
    assert "&lt;b&gt;road&lt;/b&gt;" in text and "<b>" not in text
    assert "Random &lt;weights&gt;." in text
    assert "sky" not in text, "a class without colour is not in the legend"
    assert (
        b".color-1 { background: rgb(128, 64, 128); }" in page_files(small_spec())["/page.css"][1]
    )


def test_the_page_is_served_with_a_policy(slow: Predictor) -> None:
    with TestClient(create_app([slow], Limits())) as client:
        for path, (media_type, content) in page_files(slow.spec).items():
            answer = client.get(path)
            assert answer.content == content
            assert answer.headers["content-type"].startswith(media_type)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# What a person does, after the page's own script has run: choose a file, then another answer, then
# a file that is no picture. What the page says each time is sent to the test.
DRIVE = """{
const said = [];
const chooser = document.getElementById("picture");
const line = document.getElementById("status");
async function settled() {
  do { await new Promise((resolve) => setTimeout(resolve, 20)); }
  while (line.textContent.startsWith("Working"));
  const image = document.getElementById("result");
  await image.decode().catch(() => {});
  said.push(`${line.textContent} ${image.alt} ${image.naturalWidth}x${image.naturalHeight}`);
}
async function choose(name, content) {
  const files = new DataTransfer();
  files.items.add(new File([content], name));
  chooser.files = files.files;
  chooser.dispatchEvent(new Event("change", { bubbles: true }));
  await settled();
}
(async () => {
  await choose("street.png", await (await fetch("/picture.png")).blob());
  document.querySelector("[value=mask]").click();
  await settled();
  said.push(document.getElementById("save").download);
  await choose("text.txt", "no picture");
  await fetch("/said", { method: "POST", body: JSON.stringify(said) });
})();
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_the_page_works_in_a_browser(slow: Predictor, waiting: Waiting, tmp_path: Path) -> None:
    waiting.go.set()
    app = create_app([slow], Limits())
    with TestClient(app) as client:
        own = client.get("/")
    page = own.text.replace("</body>", '<script src="/drive.js" defer></script></body>')
    policy = {"Content-Security-Policy": own.headers["content-security-policy"]}

    def fixed(path: str, content: str | bytes, media_type: str) -> Route:
        return Route(path, lambda request: Response(content, 200, policy, media_type))

    said: SimpleQueue[list[str]] = SimpleQueue()

    async def listen(request: Request) -> Response:
        said.put(await request.json())
        return Response()

    routes = [
        fixed("/drive", page, "text/html"),
        fixed("/drive.js", DRIVE, "text/javascript"),
        fixed("/picture.png", encoded(random_picture(30, 40)), "image/png"),
        Route("/said", listen, methods=["POST"]),
        Mount("/", create_app([slow], Limits())),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/drive"
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        command = [str(CHROMIUM), *options, "--remote-debugging-port=0", address]
        null = subprocess.DEVNULL
        browser = subprocess.Popen(command, stdout=null, stderr=null, start_new_session=True)
        try:
            found = said.get(timeout=60)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            server.should_exit = True
            thread.join()
    assert found == [
        "Done. overlay of street.png 40x30",
        "Done. mask of street.png 40x30",
        "street_mask.png",
        "Error: the file is no picture; send JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF. mask of "
        "street.png 40x30",
    ]
