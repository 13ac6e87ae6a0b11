// What the coder decides: kept in this browser's local storage until it is saved as a file.

const CODER = "threers:coder";
/** Cells that a spreadsheet would take for a formula get an apostrophe, which `threers import` takes away again. */
const FORMULA = /^'*\s*[=+\-@\t\r＝＋－＠]/;

/** By utterance id: codes, time, coder and whether it was made blind. `shown`: utterances whose tags were seen. */
const work = { decisions: {}, shown: [], opened: false, saved: 0 };

const decisionOf = (u) => work.decisions[u.id];

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(data.key) ?? "{}");
    for (const u of utterances) {
      const own = kept.decisions?.[u.id];
      if (!own || !Array.isArray(own.codes)) continue;
      const known = own.codes.map((name) => codes.findIndex((code) => code.name === name));
      if (known.every((code) => legal[u.role].includes(code))) work.decisions[u.id] = { ...own, codes: known };
    }
    work.shown = Array.isArray(kept.shown) ? kept.shown : [];
    work.opened = Boolean(kept.opened);
    work.saved = Number(kept.saved) || 0;
    $("coder").value = localStorage.getItem(CODER) ?? "";
  } catch {
    $("work-said").textContent = "This browser keeps nothing: save before you leave.";
  }
}

function keep() {
  const kept = Object.entries(work.decisions).map(([id, own]) => [
    id,
    { ...own, codes: own.codes.map((code) => codes[code].name) },
  ]);
  try {
    localStorage.setItem(data.key, JSON.stringify({ ...work, decisions: Object.fromEntries(kept) }));
    if ($("coder").value) localStorage.setItem(CODER, $("coder").value);
  } catch {
    say("This browser keeps nothing: save before you leave.");
  }
  showWork();
}

function showWork() {
  const made = Object.values(work.decisions);
  const unsaved = made.filter((own) => own.at > work.saved).length;
  const said = made.length ? `${made.length} of ${utterances.length} utterances decided` : "Nothing decided yet";
  $("work-said").textContent = `${said}${made.length ? (unsaved ? `, ${unsaved} not saved` : ", all saved") : ""}.`;
  $("save").disabled = !made.length;
  $("key").textContent = data.key;
}

/** What is wrong with the coder's id, or an empty text. */
function coderFault() {
  const coder = $("coder").value.trim();
  if (!coder) return "Write your coder id first: every coding bears one.";
  if (/^(model|floor):/.test(coder)) return "Ids that begin with model: or floor: are for machines; choose another.";
  if (coders.includes(coder)) return `${coder} has codings in this corpus already; choose another id, such as ${coder}-2.`;
  return "";
}

/** Make a decision; parents of codes are taken in. Returns whether it was made. */
function decide(u, chosen) {
  const fault = coderFault();
  $("coder-said").textContent = fault;
  $("coder-said").hidden = !fault;
  if (fault) {
    say(fault);
    $("coder").focus();
    return false;
  }
  const all = [...new Set(chosen.flatMap((code) => [code, ...above(code)]))].sort((a, b) => a - b);
  const blind = !work.opened && !work.shown.includes(u.id);
  work.decisions[u.id] = { codes: all, at: Date.now(), coder: $("coder").value.trim(), blind };
  if (!work.shown.includes(u.id)) work.shown.push(u.id);
  keep();
  say(`Decided: ${specific(all).map((code) => codes[code].title).join(", ") || "no code"}`);
  return true;
}

function undo(u) {
  delete work.decisions[u.id];
  keep();
  say("Decision taken back");
}

/** The decisions as a table that the reader `exported` takes: a row per code, one with an empty code for none. */
function csv() {
  const header = [...data.columns, "decided_at", "mode", "model_codes"];
  const rows = utterances.filter(decisionOf).flatMap((u) => {
    const own = decisionOf(u);
    const given = {
      session_id: data.session,
      utterance_id: u.id,
      speaker: roles[u.role],
      coder: own.coder,
      decided_at: new Date(own.at).toISOString(),
      mode: own.blind ? "blind" : "open",
      model_codes: specific(u.tags).map((code) => codes[code].name).join(";"),
    };
    const chosen = specific(own.codes).map((code) => ({ ...given, code: codes[code].name, value: 1 }));
    return chosen.length ? chosen : [given];
  });
  const cell = (value) => {
    const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows.map((row) => header.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\r\n");
}

function save() {
  const name = `${data.file}-${$("coder").value.replace(/[^\w-]+/g, "-")}.csv`;
  const link = el("a", { download: name, href: URL.createObjectURL(new Blob(["\ufeff", csv(), "\r\n"], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  work.saved = Date.now();
  keep();
  say(`Saved as ${name}`);
}

function clearWork() {
  Object.assign(work, { decisions: {}, saved: 0 });
  $("coder").value = "";
  try {
    localStorage.removeItem(data.key);
    localStorage.removeItem(CODER);
  } catch {
    // Nothing was kept.
  }
  showWork();
  say("Your codings were cleared from this browser");
}
