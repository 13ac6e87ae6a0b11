// The page of one session. These files make one module: page, decisions, timeline, transcript, panel, session.
// Everything that comes from a corpus is set as text, never as HTML.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { utterances, codes, lanes, roles, legal, coders } = data;
const timed = utterances.some((u) => u.start !== null);
const SVG = "http://www.w3.org/2000/svg";

/** What the reader has chosen. `threshold`: in thousandths, null for the tagger's own; `lanes`: those filtered by. */
const state = { selected: 0, threshold: null, lanes: new Set(), differing: false, query: "", blind: data.blind, said: utterances.length };

utterances.forEach((u, at) => {
  u.at = at;
  u.by = marksBy(u.by);
});
/** Codes that coders gave to whole segments, by the number of the segment. */
const segments = new Map(data.segments.map((one) => [one.number, marksBy(one.by)]));
const segmentOf = (u) => (u.start === null ? undefined : segments.get(Math.floor(u.start / 60 / data.minutes)));

function marksBy(pairs) {
  return new Map(pairs.map(([coder, own]) => [coder, new Set(own)]));
}

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:` : ""}${h ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
}

const when = (u) => (u.start === null ? `${u.id}` : clock(u.start));
const percent = (p) => (p === null ? "–" : p === 1000 ? "1" : `.${String(Math.floor(p / 10)).padStart(2, "0")}`);
/** Short names, such as W1, stand before a code's title; long ones would say the same twice. */
const named = codes.every((code) => code.name.length <= 4);
const called = (code) => (named ? `${codes[code].name} ${codes[code].title}` : codes[code].title);

function above(code) {
  const found = [];
  for (let parent = codes[code].parent; parent !== null; parent = codes[parent].parent) found.push(parent);
  return found;
}

const below = codes.map((_, code) => codes.map((_, other) => other).filter((other) => above(other).includes(code)));

/** The codes of a list that say most: without those whose child is there too. */
function specific(list) {
  const own = new Set(list);
  return [...own].filter((code) => !below[code].some((child) => own.has(child))).sort((a, b) => a - b);
}

function probability(u, code) {
  return u.p[legal[u.role].indexOf(code)] ?? null;
}

/** The highest probability that an utterance has in a lane; null where its role may have none of the codes. */
function height(u, lane) {
  const known = lane.codes.map((code) => probability(u, code)).filter((p) => p !== null);
  return known.length ? Math.max(...known) : null;
}

/** The model's tags at the threshold that is shown. Of codes that exclude each other, only the chosen one can be. */
function modelCodes(u) {
  if (state.threshold === null) return u.tags;
  return legal[u.role].filter((code) => {
    const open = !data.families[codes[code].family].exclusive || u.tags.includes(code);
    return open && probability(u, code) !== null && probability(u, code) >= state.threshold;
  });
}

/** The codes that at least half of the people gave who coded an utterance; null where nobody did. */
function peopleCodes(u) {
  const each = [...u.by.values()];
  const own = decisionOf(u);
  if (own) each.push(new Set(own.codes));
  return each.length ? most(each) : null;
}

/** The codes that at least half of the sets hold. */
function most(each) {
  return codes.map((_, code) => code).filter((code) => 2 * each.filter((one) => one.has(code)).length >= each.length
    && each.some((one) => one.has(code)));
}

/** May the coder see what others say of this utterance? */
const open = (u) => !state.blind || Boolean(decisionOf(u));

const inLane = (list, lane) => list.some((code) => lane.codes.includes(code));

function differs(u) {
  const people = open(u) ? peopleCodes(u) : null;
  return people !== null && lanes.some((lane) => inLane(people, lane) !== inLane(modelCodes(u), lane));
}

/** All codes that are to be seen at an utterance, whoever gave them. */
function seenCodes(u) {
  if (!open(u)) return [];
  return [...modelCodes(u), ...[...u.by.values()].flatMap((own) => [...own]), ...(decisionOf(u)?.codes ?? [])];
}

function say(text) {
  $("live").textContent = text;
}
