"""A headless Chromium for tests of the page; absent where there is none."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--force-device-scale-factor=1", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
WIDE, PHONE = (1280, 900), (390, 844)


def missing() -> str:
    """Return what is missing for a browser test, or nothing."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (extra dev)"
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found (apt-get install chromium chromium-driver)" if absent else ""


class Browser:
    """One page open from disk; ``logs`` and ``requests`` tell what went wrong or outside."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        self.driver.set_script_timeout(30)

    def open(self, page: Path, size: tuple[int, int] = WIDE, dark: bool = False) -> None:
        """Open a file at a size and colour scheme, and wait until its scripts are done."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.resolve().as_uri())
        self.wait(lambda: self.js("return document.documentElement.dataset.ready") == "yes")

    def js(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        """Wait until ``condition`` holds; raises TimeoutError."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not true after {seconds:g} s")
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """Return warnings and errors of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Return the addresses asked for since the last call, but for the file, its parts and the browser's own."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:", "chrome:"))]
