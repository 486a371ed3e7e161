"""Headless Chromium for tests of pages."""

import contextlib
import shutil

import pytest


@contextlib.contextmanager
def opened(page, width=1000, height=900):
    """Open a page; skip where there is no browser."""
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver on this machine")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as window:
        window.set_script_timeout(120)
        window.get(page.as_uri())
        yield window


def resized(window, width, height=900):
    """Give the page a width as a device of that width has; a window cannot be made narrower than 500 pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def coloured(window, scheme):
    """Prefer a light or a dark page."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


LEAST_CONTRAST = 4.5
"""Of text against what is behind it, as the Web Content Accessibility Guidelines ask (criterion 1.4.3)."""
UNREADABLE = """
const pixel = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function rgba(colour) {
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
function behind(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] > 0) layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reverse().reduce((under, top) => over(top, under), rgba(getComputedStyle(document.documentElement).colorScheme
    .includes("dark") ? "#121212" : "#ffffff"));
}
function luminance(colour) {
  const [r, g, b] = colour.map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const found = new Map();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  if (element.closest("script, style, noscript, option, [aria-hidden=true], :disabled") || !element.getClientRects().length) continue;
  const style = getComputedStyle(element), ground = behind(element);
  let colour = rgba(element instanceof SVGElement ? style.fill : style.color);
  for (let e = element; e; e = e.parentElement) colour[3] *= parseFloat(getComputedStyle(e).opacity);
  const [low, high] = [luminance(over(colour, ground)), luminance(ground)].sort((a, b) => a - b);
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < arguments[0])
    found.set(`${style.color} on ${ground.slice(0, 3).map(Math.round)}`, [contrast.toFixed(2), text.slice(0, 40)]);
}
return [...found].map(([colours, [contrast, text]]) => `${contrast}: ${colours}: ${text}`);
"""
UNNAMED = """
const named = e => ["alt", "aria-label"].some(n => (e.getAttribute(n) || "").trim())
  || e.closest("[aria-hidden=true], [role=presentation]")
  || (e.getAttribute("aria-labelledby") && document.getElementById(e.getAttribute("aria-labelledby")))
  || (e.tagName === "svg" && (e.querySelector("title")
    || e.closest("a[title], a[aria-label], button, label, [aria-label], [aria-labelledby]")));
return [...document.querySelectorAll("img, svg, canvas")].filter(e => e.getClientRects().length && !named(e))
  .map(e => e.outerHTML.slice(0, 120));
"""


def hard_to_read(window):
    """List the text of a page that stands out too little from its ground, in light and in dark, each pair of colours once."""
    found = {}
    for scheme in ("light", "dark"):
        coloured(window, scheme)
        found[scheme] = window.execute_script(UNREADABLE, LEAST_CONTRAST)
    coloured(window, "light")
    return {scheme: texts for scheme, texts in found.items() if texts}


def without_words(window):
    """List the pictures of a page that have no words for those who do not see them."""
    return window.execute_script(UNNAMED)
