"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const inSvg = new Set(["svg", "g", "path", "rect", "circle", "text", "title", "desc"]);
  const lost = document.getElementById("lost");
  let lastHeard = Date.now();

  const make = (node) => {
    if (typeof node === "string") return document.createTextNode(node);
    const [tag, attributes, ...children] = node;
    const element = inSvg.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    for (const child of children) element.append(make(child));
    return element;
  };

  // Touches only what changed, so that selections, scrolling and animations go on.
  const patch = (have, want) => {
    if (typeof want === "string") {
      if (have.nodeType !== Node.TEXT_NODE) return have.replaceWith(make(want));
      if (have.data !== want) have.data = want;
      return;
    }
    const [tag, attributes, ...children] = want;
    if (have.nodeType !== Node.ELEMENT_NODE || have.localName !== tag) return have.replaceWith(make(want));
    for (const name of have.getAttributeNames()) {
      // What a reader has opened stays open.
      if (!(name in attributes) && name !== "open") have.removeAttribute(name);
    }
    for (const [name, value] of Object.entries(attributes)) {
      if (have.getAttribute(name) !== value) have.setAttribute(name, value);
    }
    // Entries with a key are moved, not written over.
    const keyed = new Map();
    for (const child of have.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
    if (keyed.size > 0) {
      children.forEach((child, index) => {
        const known = keyed.get(child[1]?.["data-key"]);
        const here = have.childNodes[index];
        if (known && known !== here) have.insertBefore(known, here ?? null);
        else if (!known && here) have.insertBefore(make(child), here);
      });
    }
    while (have.childNodes.length > children.length) have.lastChild.remove();
    children.forEach((child, index) => {
      if (index < have.childNodes.length) patch(have.childNodes[index], child);
      else have.append(make(child));
    });
  };

  const heard = () => {
    lastHeard = Date.now();
    lost.hidden = true;
    document.body.classList.add("is-live");
  };

  const stream = new EventSource("/events?view=page");
  stream.addEventListener("page", (event) => {
    heard();
    patch(document.getElementById("page"), JSON.parse(event.data));
  });
  stream.addEventListener("pulse", heard);
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
  setInterval(() => {
    const seconds = Math.round((Date.now() - lastHeard) / 1000);
    if (seconds < 5) return;
    document.body.classList.remove("is-live");
    lost.hidden = false;
    lost.textContent = `This sentinel does not answer. What you see is ${seconds} s old.`;
  }, 1000);
})();
