"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const inSvg = new Set(["svg", "path", "rect", "circle"]);
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
    for (const name of have.getAttributeNames()) if (!(name in attributes)) have.removeAttribute(name);
    for (const [name, value] of Object.entries(attributes)) {
      if (have.getAttribute(name) !== value) have.setAttribute(name, value);
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
    document.body.className = "is-live";
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
    document.body.className = "";
    lost.hidden = false;
    lost.textContent = `This sentinel does not answer. What you see is ${seconds} s old.`;
  }, 1000);
})();
