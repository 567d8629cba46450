"""How long the interactive page takes to start, and a change on it to show, in a real browser.

`python benchmarks/explore_page.py [--starts 3] [--out FILE.json] [--picture figures/explore.png]`
starts the page so often, and times from the command until its server listens, and until results
show in Debian's Chromium, which runs already; a first start may have to compile. Then it opens the
page once more, presses an arrow key on a slider as often as there are rounds, and times from the
key to the last change on the page (the charts are drawn on canvases, which do not tell: what is
timed for them is that their data has arrived). It needs the extras `explore` and `dev`.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURED = "T_s too small"
SLIDERS = (
    "N, rollouts", "κ, trust in the scores", "T_s, similarity temperature",
    "Similarity within a direction",
)  # fmt: skip
# Time from the key to the table's next text, and to the last change before half a second of rest.
WATCH = """
() => new Promise(done => {
  const table = () => document.querySelector('table.results')?.innerText
  const before = table(), start = performance.now()
  let shown = null, last = start
  new MutationObserver(() => {
    last = performance.now()
    if (shown === null && table() !== before) shown = last
  }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true})
  const rest = () => performance.now() - last > 500
    ? done({table: shown && shown - start, page: last - start}) : setTimeout(rest, 50)
  rest()
})
"""


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The address at which `dora-theory explore` serves the page meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dora_theory", "explore", *arguments, "--headless"]
    server = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                assert server.stderr is not None
                raise RuntimeError(server.stderr.read().decode())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=30)


def seconds_to_start(count: int) -> list[dict[str, float]]:
    """Times from starting the command to its server listening, and to results in the browser."""
    from playwright.sync_api import sync_playwright

    times = []
    for _ in range(count):
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1500, "height": 1100})
            page.set_default_timeout(120_000)
            start = time.perf_counter()
            with served() as url:
                listens = time.perf_counter() - start
                page.goto(url)
                page.wait_for_selector("table.results")
                times.append({"listens": listens, "results": time.perf_counter() - start})
            browser.close()
    return times


@contextmanager
def opened(url: str, asked: list[str] | None = None) -> Iterator[Any]:
    """The page in a browser, with its results there; `asked` takes the address of every request."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(120_000)
        if asked is not None:
            page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("table.results")
        yield page
        browser.close()


def milliseconds(page: Any, slider: str, rounds: int) -> list[dict[str, float]]:
    """Times of changes of one slider; `table` is None where its numbers stay as they were."""
    control = page.get_by_role("slider", name=slider, exact=True).first
    control.focus()
    times = []
    for i in range(rounds):
        watching = page.evaluate_handle(WATCH.replace("() =>", "() => ({waited:", 1) + "})")
        control.press("ArrowLeft" if i % 2 else "ArrowRight")
        times.append(page.evaluate("async handle => await handle.waited", watching))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    parser.add_argument("--picture", type=Path, help="write a picture of the page here, no times")
    parser.add_argument("--starts", type=int, default=0, help="how often to start it, for a time")
    parser.add_argument("--rounds", type=int, default=10, help="for each slider")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    starts = seconds_to_start(arguments.starts)
    with served() as url, opened(url) as page:
        page.locator("select:visible").first.select_option(label=PICTURED)
        page.get_by_text("look different").first.wait_for()
        page.wait_for_timeout(3000)
        if arguments.picture:
            page.screenshot(path=arguments.picture)
            return
        milliseconds(page, SLIDERS[0], 2)  # to warm up
        found = {slider: milliseconds(page, slider, arguments.rounds) for slider in SLIDERS}
    times = {
        what: [t[what] for each in found.values() for t in each if t[what]]
        for what in ("table", "page")
    }
    result = {
        "what": "milliseconds from a key on a slider to the last change on the page",
        "cores": os.cpu_count(),
        # Others at work on the machine slow the page.
        "load_before": load,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        **({"seconds_to_start": starts} if starts else {}),
        **{
            what: {
                "changes": len(values),
                "median": statistics.median(values),
                "least": min(values),
                "greatest": max(values),
            }
            for what, values in times.items()
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
