// The utterance that is selected: what the model and the coders say of each code, and the coder's own decision.

/** Codes ticked and not yet decided, by utterance; in blind coding nothing else shows. */
let draft = { at: -1, codes: [] };

function drawPanel() {
  const u = utterances[state.selected];
  const own = decisionOf(u);
  if (draft.at !== u.at) draft = { at: u.at, codes: own ? own.codes : open(u) ? modelCodes(u) : [] };
  $("panel-heading").textContent = `${timed && u.start !== null ? `${when(u)} · ` : ""}${roles[u.role]} · utterance ${u.id}`;
  const form = $("codes");
  const focused = document.activeElement?.dataset?.code;
  form.replaceChildren();
  data.families.forEach((family, number) => {
    const part = legal[u.role].filter((code) => codes[code].family === number);
    if (!part.length) return;
    const group = el("fieldset", {}, el("legend", {}, family.title));
    group.append(...part.map((code) => codeRow(u, code, family.exclusive)));
    form.append(group);
  });
  if (!form.children.length) form.append(el("p", {}, `A speaker with the role ${roles[u.role]} has no codes.`));
  if (focused) form.querySelector(`input[data-code="${focused}"]`)?.focus();
  const mute = !form.querySelector("input");
  const chosen = draft.codes.length > 0;
  $("accept").textContent = own ? "Decided" : !open(u) ? "Done" : chosen ? "Accept these codes" : "Accept: no code";
  $("accept").disabled = mute || Boolean(own);
  $("none").disabled = mute;
  $("none").hidden = open(u) && !chosen;
  $("undo").hidden = !own;
  $("made").textContent = madeBy(u, own);
  const said = draft.codes.length ? specific(draft.codes)[0] : likeliest(u);
  define(open(u) || draft.codes.length ? said : legal[u.role][0]);
}

function madeBy(u, own) {
  if (own) {
    const at = new Date(own.at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    return `Decided by ${own.coder}, ${at}${own.blind ? ", blind" : ", with the tags in view"}.`;
  }
  return open(u) ? "" : "Tags are hidden. Tick what you hear, then press Done.";
}

function likeliest(u) {
  const known = legal[u.role].filter((code) => probability(u, code) !== null);
  return known.reduce((best, code) => (best === undefined || probability(u, code) > probability(u, best) ? code : best), undefined);
}

function codeRow(u, code, exclusive) {
  const about = codes[code];
  const input = el("input", { type: exclusive ? "radio" : "checkbox", name: exclusive ? `family-${about.family}` : `code-${code}` });
  input.dataset.code = code;
  input.checked = draft.codes.includes(code);
  const row = el("label", { class: `code lane-${about.lane % 8}${about.parent === null ? "" : " child"}` });
  row.dataset.code = code;
  row.append(input, ...(named ? [el("b", {}, about.name)] : []), el("span", { class: "title" }, about.title));
  if (open(u)) {
    const p = probability(u, code);
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
    bar.firstChild.style.width = `${(p ?? 0) / 10}%`;
    const limit = state.threshold ?? about.threshold;
    if (limit !== null) {
      bar.append(el("s"));
      bar.lastChild.style.left = `${limit / 10}%`;
    }
    if (modelCodes(u).includes(code)) bar.classList.add("on");
    const gave = (by) => [...(by ?? [])].filter(([, own]) => own.has(code)).map(([coder]) => coders[coder]);
    const whole = gave(segmentOf(u));
    const who = [...gave(u.by), ...(whole.length ? [`segment: ${whole.join(" ")}`] : [])];
    row.append(bar, el("span", { class: "p" }, percent(p)), el("span", { class: "who" }, who.join(" ")));
  }
  return row;
}

function define(code) {
  $("definition").textContent = "";
  if (code === undefined) return;
  const about = codes[code];
  $("definition").append(el("b", {}, `${called(code)}.`), ` ${about.definition}`);
}

/** A tick brings the code's parents with it and ends what it excludes; without a code its children go too. */
function tick(code, on) {
  const family = codes[code].family;
  const excluded = (one) => data.families[family].exclusive && codes[one].family === family;
  const kept = draft.codes.filter((one) => (on ? !excluded(one) : one !== code && !below[code].includes(one)));
  draft.codes = on ? [...new Set([...kept, code, ...above(code)])] : kept;
  if (open(utterances[draft.at])) settle(draft.codes);
  else drawPanel();
}

/** Make the codes the decision on the selected utterance. */
function settle(chosen) {
  const u = utterances[state.selected];
  if ($("none").disabled) return;
  if (decide(u, chosen)) draft = { at: -1, codes: [] };
  redraw(u);
}

function takeBack() {
  const u = utterances[state.selected];
  if (!decisionOf(u)) return;
  undo(u);
  draft = { at: -1, codes: [] };
  redraw(u);
}

function redraw(u) {
  drawTags(u);
  drawTimeline();
  drawPanel();
}
