// The utterances in their order, with the tags of the model, of the coders and of whoever works here.

const rows = [];

function makeRows() {
  const list = $("utterances");
  const made = document.createDocumentFragment();
  for (const u of utterances) {
    const row = el("li", { id: `u${u.id}`, tabindex: "-1" });
    row.dataset.at = u.at;
    row.append(el("span", { class: "time" }, when(u)), el("span", { class: "role" }, roles[u.role]));
    if (u.text !== undefined) row.append(el("span", { class: "text" }, u.text));
    row.append(el("span", { class: "tags" }));
    rows.push(row);
    made.append(row);
  }
  list.replaceChildren(made);
}

/** A code at an utterance. `full`: with its title, where its name is short. */
function chip(code, kind, prefix, full, after) {
  const { name, title, lane } = codes[code];
  const made = el("span", { class: `tag ${kind} lane-${lane % 8}` }, el("span", { class: "unseen" }, prefix));
  made.dataset.code = code;
  if (named) made.append(el("b", {}, name));
  if (full || !named) made.append(el("span", { class: "name" }, ` ${title}`));
  made.append(el("span", { class: "after" }, after));
  return made;
}

function drawTags(u) {
  const made = [];
  if (open(u)) {
    for (const code of specific(modelCodes(u))) {
      made.push(chip(code, "model", "model: ", true, percent(probability(u, code))));
    }
    const by = new Map();
    u.by.forEach((own, coder) => specific([...own]).forEach((code) => by.set(code, [...(by.get(code) ?? []), coders[coder]])));
    const sorted = [...by].sort(([a], [b]) => a - b);
    for (const [code, who] of sorted) made.push(chip(code, "given", "coders: ", false, who.join(" ")));
    const own = decisionOf(u);
    if (own) {
      const chosen = specific(own.codes);
      made.push(...chosen.map((code) => chip(code, "yours", "you: ", false, "✓")));
      if (!chosen.length) made.push(el("span", { class: "tag yours" }, "no code", el("span", { class: "after" }, "✓")));
    }
  }
  if (differs(u)) made.push(el("span", { class: "differs" }, "≠", el("span", { class: "unseen" }, " model and people differ")));
  rows[u.at].lastChild.replaceChildren(...made);
  rows[u.at].classList.toggle("undecided", state.blind && !decisionOf(u));
}

function fits(u) {
  if (state.differing && !differs(u)) return false;
  if (state.lanes.size && ![...state.lanes].some((number) => inLane(seenCodes(u), lanes[number]))) return false;
  if (!state.query) return true;
  return [u.text ?? "", roles[u.role], when(u), ...seenCodes(u).map(called)].some((text) => text.toLowerCase().includes(state.query));
}

/** Draw all that depends on threshold, filters and decisions. */
function drawAll() {
  utterances.forEach(drawTags);
  filter();
  drawTimeline();
  drawPanel();
  drawFigures();
}

function filter() {
  let number = 0;
  for (const u of utterances) {
    const shown = fits(u);
    rows[u.at].hidden = !shown;
    number += shown;
  }
  $("shown").textContent = number === utterances.length ? `${number}` : `${number} of ${utterances.length}`;
  $("nothing").hidden = number > 0;
  if (state.said !== number) say(`${number} of ${utterances.length} utterances shown`);
  state.said = number;
}

function drawFigures() {
  if (state.blind) {
    $("figures").textContent = "Blind: the tags of an utterance show once you have coded it.";
    return;
  }
  const counted = lanes.map((lane) => [lane, utterances.filter((u) => inLane(modelCodes(u), lane)).length]);
  const length = timed ? `${Math.round(last - Math.min(...begins))} minutes, ` : "";
  const own = data.ruptures.filter((one) => one.who === "model");
  const repaired = own.filter((one) => one.repaired !== null).length;
  const course = own.length ? ` ${own.length} ${own.length === 1 ? "rupture" : "ruptures"}, ${repaired} repaired.` : "";
  $("figures").textContent = `${length}${utterances.length} utterances. Tagged ${counted.map(([lane, n]) => `${lane.title.toLowerCase()} ${n}`).join(", ")}.${course}`;
}

/** Tell those who hear the page where on the timeline they are. */
function tellPlace() {
  const u = utterances[state.selected];
  $("timeline").setAttribute("aria-valuenow", u.at);
  $("timeline").setAttribute("aria-valuetext", [when(u), roles[u.role], ...titles(u)].join(", "));
}

const titles = (u) => specific(seenCodes(u)).map((code) => codes[code].title);

function select(at, focus = true) {
  rows[state.selected].removeAttribute("aria-current");
  rows[state.selected].tabIndex = -1;
  state.selected = at;
  const u = utterances[at];
  const row = rows[at];
  if (row.hidden) showAll();
  row.setAttribute("aria-current", "true");
  row.tabIndex = 0;
  if (focus) row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  tellPlace();
  moveCursor();
  drawPanel();
}

/** The next (`by` 1) or the last (-1) utterance that is shown, or of those the next with a mark. */
function step(by, marked) {
  for (let at = state.selected + by; at >= 0 && at < utterances.length; at += by) {
    if (!rows[at].hidden && (!marked || seenCodes(utterances[at]).length)) return at;
  }
  return state.selected;
}

function showAll() {
  Object.assign(state, { differing: false, query: "" });
  state.lanes.clear();
  $("differing").checked = false;
  $("search").value = "";
  showLanes();
  filter();
  drawTimeline();
}
