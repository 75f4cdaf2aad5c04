// Runs in the page and returns what is wrong with it, one sentence each.
(() => {
  const found = [];
  const say = (text) => { if (found.length < 60) found.push(text); };
  const name = (e) => `${e.tagName.toLowerCase()} "${(e.textContent || "").trim().slice(0, 40)}"`;
  const visible = (e) => e.getClientRects().length > 0;

  // Nothing from outside has become markup.
  if (document.scripts.length) say("there is a script");
  if (document.images.length) say("there is an image");
  if (document.title === "taken") say("a name from outside ran as a script");
  if (document.querySelectorAll("h1").length !== 1) say("there is not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) say(`id ${id} is there twice`);
  for (const link of document.querySelectorAll("a[href^='#']"))
    if (!document.getElementById(link.getAttribute("href").slice(1))) say(`${name(link)} leads nowhere`);

  // All tables are opened, so that what is folded away is looked at too.
  for (const details of document.querySelectorAll("details")) details.open = true;
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) {
    say(`the page is ${root.scrollWidth} wide in a window of ${innerWidth}`);
    for (const e of document.body.querySelectorAll("*")) {
      const inScroll = e.closest(".scroll") && !e.classList.contains("scroll");
      if (!inScroll && e.getBoundingClientRect().right > innerWidth + 1) say(`${name(e)} sticks out`);
    }
  }

  // Pictures: one of two views is shown, it has a size and a title, its texts are whole and apart.
  for (const figure of document.querySelectorAll("figure")) {
    const all = [...figure.querySelectorAll("svg")];
    const shown = all.filter(visible);
    if (all.length && shown.length !== 1) say(`${shown.length} views of ${name(figure)} are shown`);
  }
  for (const svg of document.querySelectorAll("svg")) {
    if (!visible(svg)) continue;
    const box = svg.getBoundingClientRect();
    const title = svg.querySelector(":scope > title");
    if (box.width < 20 || box.height < 10) say(`a picture is ${box.width} by ${box.height}`);
    if (!title || !title.textContent.trim()) say("a picture has no title");
    const around = svg.parentElement.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((e) => [e, e.getBoundingClientRect()]);
    for (const [e, t] of texts) {
      const isCut = t.left < around.left - 8 || t.right > around.right + 8 ||
        t.top < box.top - 4 || t.bottom > box.bottom + 4;
      if (isCut) say(`${name(e)} sticks out of "${title.textContent.slice(0, 40)}"`);
      const size = parseFloat(getComputedStyle(e).fontSize) * box.width / svg.viewBox.baseVal.width;
      if (size < 9) say(`${name(e)} is ${size.toFixed(1)} px high`);
    }
    texts.forEach(([e, a], index) => {
      for (const [other, b] of texts.slice(index + 1)) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 1.5 && high > 4) say(`${name(e)} lies on ${name(other)}`);
      }
    });
  }

  // Text can be read: WCAG's contrast of 4.5 to 1 against the nearest ground that is painted.
  const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const light = (color) => {
    const part = numbers(color).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const isPainted = (color) => numbers(color).length === 3 || numbers(color)[3] > 0;
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (isPainted(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const judged = new Set();
  const judge = (e, color, under) => {
    const [a, b] = [light(color), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = `${color} on ${under}`;
    if (ratio < 4.5 && !judged.has(key)) say(`${name(e)}: ${key} has a contrast of ${ratio.toFixed(2)}`);
    judged.add(key);
  };
  const shades = (e) => [...e.classList].map((c) => /^t(\d)$/.exec(c)).find(Boolean);
  for (const e of document.body.querySelectorAll("*")) {
    const owns = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!owns || !visible(e) || e.closest("title, desc, style")) continue;
    const isDrawn = e instanceof SVGElement;
    const shade = isDrawn && shades(e);
    const cell = shade && e.closest("svg").querySelector(`.h${shade[1]}`);
    const under = cell ? getComputedStyle(cell).fill : ground(isDrawn ? e.closest("svg") : e);
    judge(e, isDrawn ? getComputedStyle(e).fill : getComputedStyle(e).color, under);
  }
  return found;
})()
