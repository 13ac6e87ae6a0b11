// The session on one axis: a lane of bars per family, the people's codes as ticks above them, ruptures and repairs on top.

const BAR = 34, STRIP = 9, GAP = 7, AXIS = 22, BAND = 17, NARROW = 640;
const chart = { x: () => 0, width: 0, cursor: null, tops: [] };

/** Where an utterance lies on the axis: minutes, or its number in a session without times. */
const place = (u) => (timed ? (u.start ?? 60 * origin) / 60 : u.at);
/** The height of a lane, in thousandths: the first round figure that no probability of the session goes beyond. */
const full = [250, 500, 750].find((one) => utterances.every((u) => u.p.every((p) => p <= one))) ?? 1000;
const ends = utterances.map((u) => (timed ? (u.end ?? u.start ?? 0) / 60 : u.at + 1));
const begins = utterances.filter((u) => !timed || u.start !== null).map(place);
/** The axis begins with the segment of the first utterance; a recording may run long before it. */
const origin = timed ? Math.floor(Math.min(...begins) / data.minutes) * data.minutes : 0;
const last = Math.max(origin + 1e-6, ...ends);

/** Rows above the bars: each coder, or all together where they are many, and the decisions made here. `has`: a code of
 *  an utterance, a tick; `holds`: a code of a whole segment, a line along it. */
function strips() {
  const gave = (by, coder, lane) => by.has(coder) && inLane([...by.get(coder)], lane);
  const rows = coders.length <= 4
    ? coders.map((name, coder) => ({ name, has: (u, lane) => gave(u.by, coder, lane), holds: (by, lane) => gave(by, coder, lane) }))
    : [{
      name: `${coders.length} coders`,
      has: (u, lane) => u.by.size > 0 && inLane(peopleCodes(u), lane),
      holds: (by, lane) => inLane(most([...by.values()]), lane),
    }];
  const own = { name: "you", has: (u, lane) => Boolean(decisionOf(u)) && inLane(decisionOf(u).codes, lane), holds: () => false };
  return Object.keys(work.decisions).length ? [own, ...rows] : rows;
}

const roomFor = (box) => Math.max(280, box.clientWidth);

function drawTimeline(width = roomFor($("timeline"))) {
  const left = width > NARROW ? 118 : 6;
  const rows = strips();
  const head = rows.length * STRIP + (width > NARROW ? 3 : 14);
  const bands = state.blind ? [] : ["coders", "model"].filter((who) => data.ruptures.some((one) => one.who === who));
  chart.x = (value) => left + ((value - origin) / (last - origin)) * (width - left - 8);
  chart.width = width;
  const group = svg("g", { class: state.threshold === null ? "" : "moved" });
  let y = 4;
  const parts = [];
  for (const who of bands) {
    parts.push(drawRuptures(who, y + BAND - 3, left, who === bands[0]));
    y += BAND;
  }
  if (bands.length) y += 4;
  chart.tops = [];
  const placed = lanes.map((lane, number) => {
    if (lane.below && !chart.tops.some((one) => one.below)) y += AXIS;
    const top = y;
    y += head + BAR + GAP;
    chart.tops.push({ top, bottom: y, below: lane.below, number });
    return { lane, number, top };
  });
  if (!lanes.some((lane) => lane.below)) y += AXIS;
  const axis = chart.tops.find((one) => one.below)?.top ?? y;
  group.append(drawAxis(axis - AXIS, y, left), ...parts, ...placed.map((one) => drawLane(one, rows, head, left)));
  chart.cursor = svg("path", { class: "cursor" });
  const whole = svg("svg", { viewBox: `0 0 ${width} ${y}`, width, height: y, "aria-hidden": "true", focusable: "false" });
  whole.append(group, chart.cursor);
  chart.height = y;
  $("timeline").replaceChildren(whole);
  // Rows that are jumped to, and the panel, keep clear of what stands fixed above them.
  const fixed = getComputedStyle($("course")).position === "sticky" ? $("course").offsetHeight : 0;
  document.documentElement.style.setProperty("--top", `${fixed}px`);
  moveCursor();
}

function drawLane({ lane, number, top }, rows, head, left) {
  const shown = state.lanes.size === 0 || state.lanes.has(number);
  const made = svg("g", { class: `lane lane-${number % 8}${shown ? "" : " off"}` });
  const room = chart.width - left - 8;
  const thick = Math.min(6, Math.max(1, (0.55 * room) / utterances.length));
  const base = lane.below ? top + head : top + head + BAR;
  const paths = { soft: "", strong: "" };
  const ticks = rows.map(() => "");
  for (const u of utterances) {
    const x = chart.x(place(u)).toFixed(1);
    const p = height(u, lane);
    if (open(u) && p !== null) {
      const end = (base + (lane.below ? 1 : -1) * Math.max(0.6, (p / full) * BAR)).toFixed(1);
      paths[inLane(modelCodes(u), lane) ? "strong" : "soft"] += `M${x} ${base}V${end}`;
    }
    rows.forEach((row, at) => {
      if (open(u) && row.has(u, lane)) ticks[at] += `M${x} ${stripTop(top, head, rows, at)}v${STRIP - 2}`;
    });
  }
  const held = rows.map((row, at) => heldAlong(row, lane, stripTop(top, head, rows, at) + STRIP / 2 - 1));
  made.append(svg("path", { class: "base", d: `M${left} ${base}H${chart.width - 8}` }));
  for (const [name, d] of Object.entries(paths)) made.append(svg("path", { class: name, d, "stroke-width": thick }));
  held.filter(Boolean).forEach((d) => made.append(svg("path", { class: "held", d })));
  ticks.forEach((d) => made.append(svg("path", { class: "people", d, "stroke-width": Math.max(1.6, thick) })));
  const names = chart.width > NARROW;
  const at = names ? [0, base + (lane.below ? BAR / 2 + 5 : 5 - BAR / 2)] : [left, top + 10];
  made.append(svg("text", { class: "letter", x: at[0], y: at[1] }, lane.letter));
  const title = lane.title.length > 15 && names ? `${lane.title.slice(0, 14)}…` : lane.title;
  made.append(svg("text", { class: "title", x: at[0] + (lane.letter.length > 1 ? 22 : 17), y: at[1] }, title));
  if (names) {
    rows.forEach((row, one) => {
      const y = stripTop(top, head, rows, one) + STRIP - 2;
      made.append(svg("text", { class: "who", x: left - 5, y }, row.name.slice(0, 9)));
    });
  }
  return made;
}

/** Lines along the segments to which a row's coders gave a code of the lane. */
function heldAlong(row, lane, y) {
  if (!timed || state.blind) return "";
  const parts = [...segments].filter(([, by]) => row.holds(by, lane)).map(([number]) => {
    const [begin, end] = [Math.max(origin, number * data.minutes), Math.min(last, (number + 1) * data.minutes)];
    return begin < end ? `M${(chart.x(begin) + 1.5).toFixed(1)} ${y}H${(chart.x(end) - 1.5).toFixed(1)}` : "";
  });
  return parts.join("");
}

const stripTop = (top, head, rows, at) => top + (head - rows.length * STRIP - 3) + at * STRIP;

function drawAxis(top, bottom, left) {
  const made = svg("g", { class: "axis" });
  const step = timed ? data.minutes : [5, 10, 20, 50, 100, 200, 500].find((one) => last / one <= 20) ?? 1000;
  const label = Math.ceil((34 * (last - origin)) / (step * (chart.width - left)));
  for (let n = Math.round(origin / step); n * step <= last; n += 1) {
    const x = chart.x(n * step);
    const end = chart.x(Math.min(last, (n + 1) * step));
    if (n % 2) made.append(svg("rect", { class: "segment", x, y: 0, width: Math.max(0, end - x), height: bottom }));
    made.append(svg("path", { class: "grid", d: `M${x} 0V${bottom}` }));
    if (n % label === 0 && chart.width - x > 26) made.append(svg("text", { class: "tick", x: x + 3, y: top + 15 }, String(+(n * step).toFixed(2))));
  }
  const unit = timed ? "minutes" : "utterance";
  if (left > 50) {
    made.append(svg("text", { class: "unit", x: left - 5, y: top + 15 }, unit));
    made.append(svg("text", { class: "unit from", x: 0, y: top + 15 }, `0 – ${percent(full)}`));
  }
  return made;
}

function drawRuptures(who, y, left, first) {
  const made = svg("g", { class: `ruptures of-${who}` });
  const at = new Map(utterances.map((u) => [u.id, u]));
  const x = (id) => chart.x(place(at.get(id)));
  for (const one of data.ruptures.filter((found) => found.who === who)) {
    const [begin, end] = [x(one.begins), Math.max(x(one.ends), x(one.begins) + 3)];
    made.append(svg("path", { class: "rupture", d: `M${begin} ${y}H${end}` }));
    if (one.repaired === null) {
      made.append(svg("path", { class: "cross", d: `M${end + 3} ${y - 3}l6 6m0 -6l-6 6` }));
    } else {
      const repair = Math.max(x(one.repaired), end + 2);
      const up = Math.min(BAND - 5, Math.max(5, (repair - end) / 2));
      made.append(svg("path", { class: "arc", d: `M${end} ${y}A${(repair - end) / 2} ${up} 0 0 1 ${repair} ${y}` }));
      made.append(svg("circle", { class: "repair", cx: repair, cy: y, r: 2.6 }));
    }
  }
  if (chart.width > NARROW) {
    made.append(svg("text", { class: "title", x: 0, y: y + 1 }, first ? "Episodes" : ""));
    made.append(svg("text", { class: "who", x: left - 5, y: y + 1 }, who));
  }
  return made;
}

function moveCursor() {
  const x = chart.x(place(utterances[state.selected])).toFixed(1);
  chart.cursor?.setAttribute("d", `M${x} 0V${chart.height}M${x - 4} 0h8l-4 5z`);
}

/** The utterance that is meant by a point of the timeline: near it the one with a mark in that lane, else the nearest. */
function utteranceAt(event) {
  const box = $("timeline").firstChild.getBoundingClientRect();
  const scale = chart.width / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  const hit = chart.tops.find((one) => py >= one.top && py < one.bottom);
  const far = (u) => Math.abs(chart.x(place(u)) - px);
  const nearest = (list) => list.reduce((best, u) => (best === null || far(u) < far(best) ? u : best), null);
  const marked = hit ? nearest(utterances.filter((u) => inLane(seenCodes(u), lanes[hit.number]))) : null;
  if (marked && far(marked) <= 7) return marked;
  const spoken = hit ? nearest(utterances.filter((u) => height(u, lanes[hit.number]) !== null)) : null;
  return spoken && far(spoken) <= 7 ? spoken : nearest(utterances);
}
