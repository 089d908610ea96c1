// The values of every curve at the pointer, read back from the drawn paths. The page is whole without it.
for (const svg of document.querySelectorAll("svg[data-x]")) {
  const [xLow, xHigh, xStart, xEnd] = svg.dataset.x.split(" ").map(Number);
  const [yLow, yHigh, yStart, yEnd] = svg.dataset.y.split(" ").map(Number);
  const width = svg.viewBox.baseVal.width;
  const curves = [...svg.querySelectorAll("path.line:not(.faint)")].map((path) => ({
    label: path.dataset.label,
    colour: [...path.classList].find((name) => /^s\d$/.test(name)),
    points: (path.getAttribute("d").match(/[ML][^ML]+/g) || []).map((point) => point.slice(1).split(",").map(Number)),
  }));
  const figure = svg.closest("figure");
  const tip = figure.appendChild(Object.assign(document.createElement("div"), { className: "tip", hidden: true }));
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", yEnd);
  cursor.setAttribute("y2", yStart);
  cursor.style.display = "none";
  svg.append(cursor);
  const x = (pixel) => xLow + ((pixel - xStart) / (xEnd - xStart)) * (xHigh - xLow);
  const y = (pixel) => yLow + ((pixel - yStart) / (yEnd - yStart)) * (yHigh - yLow);
  const short = (value) => {
    for (const [size, suffix] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (Math.abs(value) >= size) return (value / (suffix === "k" ? 1e3 : size)).toPrecision(4) + suffix;
    }
    return String(Number(value.toPrecision(4)));
  };
  const hide = () => { tip.hidden = true; cursor.style.display = "none"; };
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * width;
    if (pixel < xStart - 8 || pixel > xEnd + 8) return hide();
    const near = curves.filter((curve) => curve.points.length).map((curve) => ({
      ...curve, point: curve.points.reduce((a, b) => (Math.abs(b[0] - pixel) < Math.abs(a[0] - pixel) ? b : a)),
    }));
    if (!near.length) return hide();
    const closest = near.reduce((a, b) => (Math.abs(b.point[0] - pixel) < Math.abs(a.point[0] - pixel) ? b : a)).point[0];
    const percent = svg.dataset.percent !== undefined;
    tip.replaceChildren();
    const head = document.createElement("span");
    head.textContent = `${short(x(closest))} ${svg.dataset.unit}`;
    tip.append(head);
    for (const curve of near.filter((curve) => Math.abs(curve.point[0] - pixel) < 40).sort((a, b) => a.point[1] - b.point[1])) {
      const value = y(curve.point[1]);
      const row = document.createElement("div");
      const name = Object.assign(document.createElement("b"), { className: curve.colour, textContent: percent ? (100 * value).toFixed(1) + " %" : short(value) });
      row.append(name, curve.label ? " " + curve.label : "");
      tip.append(row);
    }
    tip.hidden = false;
    cursor.style.display = "";
    cursor.setAttribute("x1", closest);
    cursor.setAttribute("x2", closest);
    const left = box.left - figure.getBoundingClientRect().left + (closest / width) * box.width;
    tip.style.left = (left + tip.offsetWidth + 14 > box.width ? left - tip.offsetWidth - 10 : left + 10) + "px";
    tip.style.top = box.top - figure.getBoundingClientRect().top + 6 + "px";
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}
