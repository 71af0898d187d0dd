"""What a person does on the status page: looks, sees a failover, logs in and makes one.

person.py URL PORT-OF-THE-MASTER USER SECRET

With VEDETTE_PICTURES=DIRECTORY in the environment it leaves pictures there for a person to look at.

Says on stdout what is to happen to the fleet; ends with "done", or with a sentence and status 1.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser

URL, MASTER, USER, SECRET = sys.argv[1:5]
PICTURES = os.environ.get("VEDETTE_PICTURES")

# Text that is hard to read on what is really behind it, as WCAG AA counts (4.5, or 3 for large text).
FAINT = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const color = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (rgb) => {
    const part = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(rgb[0]) + 0.7152 * part(rgb[1]) + 0.0722 * part(rgb[2]);
  };
  const behind = (element) => {
    if (!element) return color(getComputedStyle(document.body).backgroundColor).slice(0, 3);
    return over(color(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const bad = [];
  for (const element of document.querySelectorAll("#page *:not(svg):not(svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = color(style.color);
    for (let at = element; at; at = at.parentElement) {
      const opacity = Number(getComputedStyle(at).opacity);
      // What breathes is judged at its full strength.
      if (getComputedStyle(at).animationName === "none") ink[3] *= opacity;
    }
    const ground = behind(element);
    const [one, two] = [light(over(ink, ground)), light(ground)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${element.className || element.localName} "${element.textContent.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
})()"""

# Controls and drawings that a screen reader could not name.
NAMELESS = """[...document.querySelectorAll("button, a, input, select, svg[role=img], section[aria-labelledby]")]
  .filter((e) => e.getClientRects().length)
  .filter((e) => {
    const label = e.getAttribute("aria-labelledby");
    if (label) return label.split(" ").some((id) => !document.getElementById(id)?.textContent.trim());
    if (e.matches("input, select")) return !e.closest("label");
    return !e.textContent.trim();
  })
  .map((e) => e.outerHTML.slice(0, 120))"""


def tell(line):
    print(line, flush=True)


def fail_if(condition, sentence):
    if condition:
        sys.exit(sentence)


def picture(browser, name, whole=True):
    if PICTURES:
        browser.shot(os.path.join(PICTURES, name + ".png"), whole)


def look_at_it(browser, name):
    for scheme in ("dark", "light"):
        browser.scheme(scheme)
        faint = browser.run(FAINT)
        fail_if(faint, f"hard to read in the {scheme} scheme: {faint}")
        picture(browser, f"{name}-{scheme}")
    nameless = browser.run(NAMELESS)
    fail_if(nameless, f"without a name for those who do not see it: {nameless}")


def master_is(port):
    return f"""document.querySelector(".group .node.master .address")?.textContent.endsWith(":{port}")"""


with Browser() as browser:
    browser.size(1280, 900)
    browser.open(URL)
    browser.until("document.body.classList.contains('is-live')")
    browser.until(master_is(MASTER))
    browser.until("document.querySelectorAll('.topo .place').length === 3")
    browser.until("document.querySelectorAll('.topo .edge.flows').length === 2")
    fail_if(browser.run("document.querySelector('.stories') !== null"), "a failover before there was one")
    look_at_it(browser, "before")

    tell("kill the master")
    browser.until("document.querySelector('.story .pill.ok')?.textContent === 'done'")
    browser.until(f"!({master_is(MASTER)})")
    browser.run("document.querySelector('.story details').open = true")
    steps = browser.run("document.querySelector('.steplist').innerText")
    for word in ("last answer", "suspected", "quorum", "began", "frozen", "chosen", "published", "in sync"):
        fail_if(word not in steps, f"'{word}' is missing in the steps of the failover:\n{steps}")
    fail_if("every WAIT kept" not in browser.run("document.querySelector('.lost').textContent"), "no receipt")
    phases = browser.run("document.querySelectorAll('.story .bar rect').length")
    fail_if(phases != 4, f"{phases} phases are drawn")
    # What was opened stays open while the page goes on.
    before = browser.run("document.querySelector('footer').textContent")
    browser.until(f"document.querySelector('footer').textContent !== {before!r}")
    fail_if(not browser.run("document.querySelector('.story details').open"), "the story was closed again")
    look_at_it(browser, "after")

    browser.size(360, 780, mobile=True)
    width = browser.run("document.documentElement.scrollWidth")
    fail_if(width > 360, f"a phone of 360 pixels would have to scroll sideways: {width}")
    small = browser.run("[...document.querySelectorAll('.actions button')].filter((b) => b.offsetHeight < 36).length")
    fail_if(small, "buttons too small for a thumb")
    look_at_it(browser, "phone")
    browser.size(1280, 900)
    fail_if(browser.complaints, f"the console complains: {browser.complaints}")

    # The other replica that lives is asked for by name.
    target = browser.run(
        "[...document.querySelectorAll('.group .node.replica')].find((n) => n.querySelector('.state').textContent === 'up')"
        ".querySelector('.address').textContent"
    )
    browser.until("document.querySelector(\"button[data-act='switchover']\") !== null")
    browser.run("document.querySelector(\"button[data-act='switchover']\").click()")
    browser.until("document.getElementById('act').open")
    browser.run(f"document.getElementById('act-to').value = {target!r}")
    fail_if(browser.run("document.getElementById('act-to').value") != target, f"{target} is not offered")
    log_in = "document.getElementById('act-user').value = {!r}; document.getElementById('act-secret').value = {!r}; document.getElementById('act-go').click()"
    browser.run(log_in.format(USER, "a guess"))
    browser.until("document.getElementById('act-said').textContent.startsWith('Log in')")
    picture(browser, "dialog", whole=False)
    port = target.rsplit(":", 1)[1]
    fail_if(browser.run(master_is(port)), "somebody without the secret moved the master")
    browser.run(log_in.format(USER, SECRET))
    browser.until("!document.getElementById('act').open")
    browser.until("document.getElementById('said').textContent.endsWith('agreed.')")
    browser.until(master_is(port))
    browser.until("document.querySelectorAll('.story').length === 2")
    tell(f"moved to {port}")
    complaints = [text for text in browser.complaints if "401" not in text]
    fail_if(complaints, f"the console complains: {complaints}")
    picture(browser, "moved")
    tell("done")
