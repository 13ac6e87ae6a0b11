// What keys, buttons and the pointer do; and the start.

function showLanes() {
  for (const button of $("lanes").children) {
    button.setAttribute("aria-pressed", String(state.lanes.has(Number(button.dataset.lane))));
  }
}

function makeLanes() {
  lanes.forEach((lane, number) => {
    const button = el("button", { type: "button", class: `lane-${number % 8}` }, el("b", {}, lane.letter), ` ${lane.title}`);
    button.dataset.lane = number;
    button.addEventListener("click", () => {
      if (!state.lanes.delete(number)) state.lanes.add(number);
      showLanes();
      filter();
      drawTimeline();
    });
    $("lanes").append(button);
  });
  showLanes();
}

function setThreshold(value) {
  state.threshold = value;
  $("threshold-said").textContent = value === null ? "own thresholds" : percent(value);
  $("threshold").setAttribute("aria-valuetext", $("threshold-said").textContent);
  $("own-thresholds").hidden = value === null;
  draft = { at: -1, codes: [] };
  drawAll();
}

function setBlind(on) {
  state.blind = on;
  $("blind").checked = on;
  // Whoever saw the tags once does not code blind any more.
  if (!on && !work.opened) {
    work.opened = true;
    keep();
  }
  for (const id of ["threshold", "differing"]) $(id).disabled = on;
  setThreshold(on ? null : state.threshold);
}

/** Width of the timeline on paper, so that its letters can be read there. */
const PAPER = 700;

let waiting = 0;
/** Once per frame, however fast the slider moves. */
function soon(draw) {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
}

const KEYS = {
  j: () => select(step(1)),
  ArrowDown: () => select(step(1)),
  k: () => select(step(-1)),
  ArrowUp: () => select(step(-1)),
  n: () => select(step(1, true)),
  p: () => select(step(-1, true)),
  a: () => !$("accept").disabled && settle(draft.codes),
  0: () => settle([]),
  u: takeBack,
  c: () => $("codes").querySelector("input")?.focus(),
  d: () => !$("differing").disabled && $("differing").click(),
  "/": () => $("search").focus(),
  "?": () => $("help").showModal(),
};

function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.key === "Escape" && target.closest("#codes, #search")) return select(state.selected);
  if (target.matches("input:not([type=checkbox], [type=radio])")) return undefined;
  if (target.matches("[type=radio]") && event.key.startsWith("Arrow")) return undefined;
  if (event.key.length === 1 && !$("letters").checked) return undefined;
  const act = KEYS[event.key];
  if (!act) return undefined;
  event.preventDefault();
  return act();
}

function onTimelineKey(event) {
  const to = { ArrowRight: step(1, true), ArrowLeft: step(-1, true), Home: 0, End: utterances.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  select(to, false);
}

function showTip(event, ...content) {
  const tip = $("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  const under = event.clientY + 18;
  tip.style.top = `${under + tip.offsetHeight < innerHeight ? under : event.clientY - tip.offsetHeight - 10}px`;
}

function onPointer(event) {
  const tag = event.target.closest?.("[data-code]");
  const row = event.target.closest?.("#utterances li");
  if (tag && row) {
    const about = codes[tag.dataset.code];
    const p = probability(utterances[row.dataset.at], Number(tag.dataset.code));
    showTip(event, el("b", {}, called(tag.dataset.code)), ` ${percent(p)}`, el("br"), about.definition);
  } else if (event.target.closest?.("#timeline svg")) {
    const u = utteranceAt(event);
    showTip(event, [when(u), roles[u.role], ...titles(u)].join(" · "));
  } else {
    $("tip").hidden = true;
  }
}

function listen() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointermove", onPointer);
  document.addEventListener("scroll", () => ($("tip").hidden = true), { passive: true });
  $("timeline").addEventListener("keydown", onTimelineKey);
  $("timeline").addEventListener("click", (event) => select(utteranceAt(event).at));
  $("utterances").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (row && !String(getSelection())) select(Number(row.dataset.at));
  });
  $("threshold").addEventListener("input", (event) => soon(() => setThreshold(10 * Number(event.target.value))));
  $("own-thresholds").addEventListener("click", () => setThreshold(null));
  $("differing").addEventListener("change", (event) => {
    state.differing = event.target.checked;
    filter();
  });
  $("search").addEventListener("input", (event) => {
    state.query = event.target.value.trim().toLowerCase();
    soon(filter);
  });
  $("show-all").addEventListener("click", () => select(state.selected));
  $("blind").addEventListener("change", (event) => setBlind(event.target.checked));
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("codes").addEventListener("submit", (event) => event.preventDefault());
  $("codes").addEventListener("change", (event) => tick(Number(event.target.dataset.code), event.target.checked));
  for (const kind of ["pointerover", "focusin"]) {
    $("codes").addEventListener(kind, (event) => {
      const row = event.target.closest("[data-code]");
      if (row) define(Number(row.dataset.code));
    });
  }
  $("accept").addEventListener("click", () => settle(draft.codes));
  $("none").addEventListener("click", () => settle([]));
  $("undo").addEventListener("click", takeBack);
  $("save").addEventListener("click", save);
  $("coder").addEventListener("change", () => {
    $("coder-said").hidden = !$("coder").value || !coderFault();
    $("coder-said").textContent = coderFault();
    keep();
  });
  $("clear").addEventListener("click", () => {
    clearWork();
    drawAll();
  });
  addEventListener("beforeprint", () => drawTimeline(PAPER));
  addEventListener("afterprint", () => drawTimeline());
  new ResizeObserver(() => soon(() => roomFor($("timeline")) !== chart.width && drawTimeline())).observe($("timeline"));
}

load();
makeRows();
makeLanes();
listen();
$("timeline").setAttribute("aria-valuemax", utterances.length - 1);
tellPlace();
rows[0].tabIndex = 0;
rows[0].setAttribute("aria-current", "true");
setBlind(state.blind);
showWork();
const asked = /^#u(\d+)$/.exec(location.hash);
const found = asked && utterances.find((u) => u.id === Number(asked[1]));
if (found) select(found.at);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
