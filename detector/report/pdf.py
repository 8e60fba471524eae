"""The HTML report as PDF, printed by a Chromium that is already installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from detector.errors import UncribError

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
SECONDS = 300
_QUIET = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-pdf-header-footer",
    # the page unpacks its findings before it prints them
    "--virtual-time-budget=60000",
)


def browser() -> str | None:
    """Path of an installed Chromium, Chrome or Edge; None where there is none. `CHROMIUM` names another."""
    for name in (os.environ.get("CHROMIUM", ""), *BROWSERS):
        if name and (path := shutil.which(name)):
            return path
    return None


def to_pdf(html: str, out: Path) -> None:
    """Print the page that `to_html` made to the file `out`. Raises UncribError where that cannot be done."""
    program = browser()
    if program is None:
        raise UncribError(
            "no Chromium, Chrome or Edge is installed to make the PDF: "
            "install one, name it in CHROMIUM, or open the HTML report and print it"
        )
    with tempfile.TemporaryDirectory(prefix="uncrib-pdf-", ignore_cleanup_errors=True) as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, encoding="utf-8")
        command = [program, *_QUIET, f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Chromium refuses its sandbox to root; the page runs only our own script, by its policy
            command.append("--no-sandbox")
        _run([*command, page.as_uri()])
        if not printed.is_file() or not printed.read_bytes().startswith(b"%PDF"):
            raise UncribError(f"{program} printed no PDF; open the HTML report and print it from there")
        try:
            shutil.copyfile(printed, out)
        except OSError as error:
            raise UncribError(f"cannot write {out}: {error.strerror}; choose another place") from None


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise UncribError(
            f"{command[0]} did not finish within {SECONDS} s; print the HTML report by hand"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise UncribError(f"{command[0]} could not print ({error}); print the HTML report by hand") from None
