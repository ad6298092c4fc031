#!/usr/bin/env python3
"""Drives the page of `demo live` in headless Chromium: drags its sliders, pulls its plug, and checks that
requests follow the link and that every one of them is answered. Writes screenshots.

    scripts/live_page.py --demo target/release/demo --out /tmp/live-page

Needs Chromium and ChromeDriver (Debian: chromium, chromium-driver); without them it says so and passes,
unless KERF_REQUIRE lists `browser`. The standard library does for the rest.
"""

import argparse
import base64
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

# Nothing that is waited for may fail for being slow on a busy machine.
PATIENCE = 90.0
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", "--force-device-scale-factor=1"]


def ask(method, url, body=None, kind="application/json"):
    """Status and text of an HTTP request; `body` is bytes, or becomes JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def started(command, pattern):
    """A process, and what `pattern` finds in what it says."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said = []
    until = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < until:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            continue
        if line is None:
            break
        said.append(line)
        if found := re.search(pattern, line):
            return process, lines, found.group(1)
    process.kill()
    sys.exit(f"{command[0]} did not start:\n{''.join(said)}")


class Browser:
    """A page, by ChromeDriver's protocol."""

    def __init__(self, driver, profile):
        options = {"binary": shutil.which("chromium"), "args": [*CHROMIUM, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}}
        self.url = driver
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.url = f"{driver}/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        status, text = ask(method, self.url + path, body)
        value = json.loads(text)["value"]
        if status != 200:
            raise RuntimeError(f"{path}: {value['error']}: {value['message']}")
        return value

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def size(self, width, height):
        self.call("POST", "/window/rect", {"width": width, "height": height})

    def dark(self, is_dark):
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        params = {"media": "screen", "features": [feature]}
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": params})

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def drag(self, slider, place, steps=12):
        """To a share of the slider's length, as a hand would: one step after the other."""
        self.run("""
            const [slider, place, steps] = [document.getElementById(arguments[0]), arguments[1], arguments[2]];
            const from = Number(slider.value);
            for (let step = 1; step <= steps; step++) {
              slider.value = from + (1000 * place - from) * step / steps;
              slider.dispatchEvent(new Event("input", { bubbles: true }));
            }""", slider, place, steps)

    def shot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def errors(self):
        """What the page complained about; a favicon is asked for whatever a page says."""
        logs = self.call("POST", "/se/log", {"type": "browser"})
        return [log["message"] for log in logs if log["level"] == "SEVERE" and "favicon" not in log["message"]]

    def close(self):
        self.call("DELETE", "")


class Page:
    """The page, and the demo's own JSON to hold it against."""

    def __init__(self, browser, url, out):
        self.browser, self.url, self.out = browser, url, out
        self.shots = []

    def now(self):
        return json.loads(ask("GET", f"{self.url}/state")[1])["events"][-1]

    def wait(self, what, holds):
        until = time.monotonic() + PATIENCE
        while True:
            event = self.now()
            if holds(event):
                print(f"  {what}: {event['now']}", flush=True)
                return event
            if time.monotonic() > until:
                self.shot("failed")
                raise AssertionError(f"not {what} within {PATIENCE:.0f} s: {json.dumps(event)}")
            time.sleep(0.25)

    def shot(self, name):
        path = self.out / f"{name}.png"
        self.browser.shot(path)
        self.shots.append(path)


def away(event, routes=r"cloud|b\d+"):
    """Share of recent answers that the cloud made; of all that were, those from some boundaries."""
    shares = event["recent"]["shares"]
    return sum(share for route, share in shares.items() if re.fullmatch(routes, route))


def check(page):
    browser = page.browser
    setting = json.loads(ask("GET", f"{page.url}/state")[1])["setting"]
    page.wait("answers come", lambda event: event["recent"]["answered"] > 0)
    until = time.monotonic() + 20
    while not browser.run("return document.querySelectorAll('#shares path.area').length > 0"):
        assert time.monotonic() < until, f"nothing is drawn: {browser.errors()}"
        time.sleep(0.2)
    assert str(setting["slowdown"]).rstrip("0").rstrip(".") in browser.text(".emulated")

    browser.drag("rtt", 0.2)
    browser.drag("rate", 0.85)
    fast = page.wait("over a fast link the input is sent", lambda event: away(event, "cloud") > 0.8)
    assert fast["link"]["rate_bps"] > 1e8 and fast["link"]["rtt_ms"] < 10, fast["link"]
    page.shot("fast")
    browser.drag("rate", 0.42)
    page.wait("a middling link", lambda event: 1e6 < event["link"]["rate_bps"] < 1e7)
    time.sleep(10)
    page.shot("middling")
    browser.drag("rate", 0.0)
    slow = page.wait("over a slow link it is not", lambda event: away(event, "cloud") < 0.1
                     and event["recent"]["answered"] > 3)
    assert abs(slow["link"]["rate_bps"] - setting["bounds"]["rate_bps"][0]) < 1, slow["link"]
    assert slow["predicted"]["cloud_ms"] > 10 * fast["predicted"]["cloud_ms"], (fast, slow)
    browser.drag("rtt", 1.0)
    page.wait("slow and far, all stays on the edge", lambda event: away(event) < 0.1
              and event["recent"]["answered"] > 3)
    page.shot("slow")
    browser.drag("rtt", 0.2)
    browser.drag("rate", 0.85)
    page.wait("the fast link again", lambda event: away(event) > 0.8)

    browser.click("#plug")
    page.wait("unplugged", lambda event: not event["link"]["plugged"] and event["recent"]["answered"] > 0
              and away(event) == 0)
    assert browser.text("#plug") == "Plug it in again"
    time.sleep(3)
    page.shot("unplugged")
    browser.click("#plug")
    page.wait("plugged in again", lambda event: away(event) > 0.8)
    page.shot("again")
    totals = page.now()["totals"]
    assert totals["failed"] == totals["refused"] == totals["unsent"] == 0, totals
    assert totals["sent"] - totals["answered"] <= totals["in_flight"] + 1, totals
    print(f"  every request was answered: {totals['answered']} of {totals['sent']}")

    refused(page)
    # Numbers on the page are those of the JSON.
    assert browser.text("#rate-said").strip() and browser.text("#now").strip()
    for name, dark, width in [("dark", True, 1280), ("narrow", False, 420)]:
        browser.dark(dark)
        browser.size(width, 1500)
        time.sleep(0.8)
        page.shot(name)
    wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the narrow page scrolls sideways by {wide} px"
    assert not browser.errors(), browser.errors()


def refused(page):
    """What cannot be changed is said in words, and changes nothing."""
    before = page.now()["link"]
    for body, kind, status, said in [
        ({"rate_bps": 1}, "application/json", 400, "expected 50000 to 1000000000"),
        ({"rtt_ms": -1}, "application/json", 400, "rtt_ms"),
        ({"speed": 1}, "application/json", 422, "unknown field"),
        (b"{", "application/json", 400, "JSON"),
        (b'{"rate_bps": 1e6}', "text/plain", 415, "application/json"),
        (b'{"rate_bps": ' + b" " * 10000 + b"1e6}", "application/json", 413, ""),
    ]:
        found, text = ask("POST", f"{page.url}/link", body, kind)
        assert found == status and said in text, (body, found, text)
    assert page.now()["link"] == before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", default="target/release/demo", help="the binary")
    parser.add_argument("--out", type=Path, help="where screenshots go [default: a temporary folder]")
    args, more = parser.parse_known_args()
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        reason = f"no {' and no '.join(missing)} (Debian: apt-get install chromium chromium-driver)"
        if "browser" in os.environ.get("KERF_REQUIRE", "").split(","):
            sys.exit(f"KERF_REQUIRE lists browser, but: {reason}")
        print(f"skipped: {reason}")
        return
    out = args.out or Path(tempfile.mkdtemp(prefix="live-page-"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        demo, said, url = started([args.demo, "live", "--listen", "127.0.0.1:0", *more], r"(http://[\d.:]+)/")
        driver, _, port = started(["chromedriver", "--port=0"], r"started successfully on port (\d+)")
        try:
            browser = Browser(f"http://127.0.0.1:{port}", profile)
            browser.size(1280, 1180)
            browser.open(f"{url}/")
            page = Page(browser, url, out)
            check(page)
            print(f"  screenshots: {', '.join(map(str, page.shots))}")
            browser.close()
            demo.terminate()
            assert demo.wait(timeout=30) == 0, "the demo ended with an error"
            print(f"  {[line for line in said.queue if line][-1].strip()}")
        finally:
            for process in (driver, demo):
                process.kill()
                process.wait()
    print("the page follows the link")


if __name__ == "__main__":
    main()
