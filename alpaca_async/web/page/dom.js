// Helpers for elements of the page.

export const byId = (id) => document.getElementById(id);

// Does not set unchanged text, because screen readers would read it again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const setTextById = (id, text) => setText(byId(id), text);

// Creates, updates and removes the elements of a list, one for each item; keeps the first `kept` elements.
export function updateList(id, items, getKey, create, update, kept = 0) {
  const list = byId(id);
  const existing = new Map([...list.children].slice(kept).map((each) => [each.dataset.key, each]));
  const elements = items.map((item) => {
    const key = String(getKey(item));
    const element = existing.get(key) ?? create(item);
    element.dataset.key = key;
    update(element, item);
    return element;
  });
  for (const each of existing.values()) if (!elements.includes(each)) each.remove();
  elements.forEach((each, index) => {
    if (list.children[index + kept] !== each) list.insertBefore(each, list.children[index + kept] ?? null);
  });
}

// Replaces the content of a chart by lines of points (x, y), both from 0 to 1, y upwards.
export function drawLines(id, lines) {
  byId(id).replaceChildren(...lines.map(({ points, className }) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", points.map(([x, y]) => `${(100 * x).toFixed(2)},${(39 - 38 * y).toFixed(2)}`).join(" "));
    line.setAttribute("class", className);
    return line;
  }));
}
