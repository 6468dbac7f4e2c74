// The page: it writes on from a text, lists what comes next, and shades a text by surprise. All text is drawn as text,
// never as markup.

const BARS = 10;
const SLICE = 32; // milliseconds of computing, between which the page answers
const MARK_EVERY = 64; // tokens
const AHEAD = 400; // milliseconds of quiet before a text is scored that somebody types
const LEAST_SAID = 80; // characters that a screen reader is given at once
const MOST_TOLD = 32; // tokens of a grapheme, which can have any number

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const vocabulary = new Vocabulary(data.vocabulary, data.text);
const network = new Network(data.network, decodedArrays(byId("weights").textContent, data.arrays, data.precision));
byId("weights").remove();

const pause = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const count = (number) => number.toLocaleString("en");
const unit = vocabulary.isBytes ? "byte" : "character";
const counted = (number) => `${count(number)} ${unit}${number === 1 ? "" : "s"}`;
const nameOf = (id) => (id === vocabulary.end ? "end" : data.vocabulary.names[id] ?? vocabulary.characters[id]);

// What a reader sees as one character, each with its place
const segmenter = Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;
function graphemes(text) {
  if (segmenter) return Array.from(segmenter.segment(text), ({ segment }) => segment);
  return Array.from(text);
}

// A text without its last grapheme, which may not be complete yet
function withoutLast(text) {
  const tail = graphemes(text.slice(-64));
  return text.slice(0, text.length - (tail.at(-1) ?? "").length);
}

// A grapheme as it can be shown: what no character is, or turns the direction of a text, is an escape
function harmless(grapheme) {
  return grapheme.replace(/[\p{Cc}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\xad\u202a-\u202e\u2066-\u2069]/gu, (each) => {
    const point = each.codePointAt(0);
    return point < 0x100 ? `\\x${point.toString(16).padStart(2, "0")}` : `\\u${point.toString(16).padStart(4, "0")}`;
  });
}

// An element with a character's name, whose direction changes nothing around it
function isolated(name) {
  const element = document.createElement("bdi");
  element.textContent = name;
  return element;
}

function told(error) {
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

// Reads tokens, and remembers states on the way: a text that changes near its end is not read from its start again.
class Reader {
  constructor() {
    this.ids = [];
    this.marks = [{ place: 0, state: network.initialState(), logits: null }];
  }

  get last() {
    return this.marks.at(-1);
  }

  step(id) {
    const { place, state } = this.last;
    if (place % MARK_EVERY) this.marks.pop();
    this.ids.push(id);
    this.marks.push({ place: place + 1, ...network.step(id, state) });
    return this.last;
  }

  // The last mark after all of the ids; null once `isCurrent` says that nobody wants it any more
  async read(ids, isCurrent) {
    const same = this.ids.findIndex((id, place) => id !== ids[place]);
    const common = same < 0 ? this.ids.length : same;
    this.marks = this.marks.filter(({ place }) => place <= common);
    this.ids.length = this.last.place;
    let until = performance.now() + SLICE;
    while (this.ids.length < ids.length) {
      this.step(ids[this.ids.length]);
      if (performance.now() < until) continue;
      await pause();
      if (!isCurrent()) return null;
      until = performance.now() + SLICE;
    }
    return this.last;
  }
}

const startToken = () => (vocabulary.labels.length ? vocabulary.startOf(byId("label").value) : vocabulary.start);

// ---- Writing

const area = byId("text");
const reader = new Reader();
let pending = []; // bytes of a character that is not complete yet
let writing = null; // an object while the model writes, whose `stopped` ends it
let request = 0; // the number of the last wish to see what comes next
let before = null; // the text, and its pending bytes, before the last writing
let listed = []; // what may come next, the likeliest first

const tokens = () =>
  vocabulary.begun(startToken(), [...vocabulary.encode(vocabulary.treated(area.value)), ...pending]);

async function refresh() {
  const own = (request += 1);
  try {
    showUnknown();
    const now = await reader.read(tokens(), () => own === request);
    if (now && own === request) showNext(now.logits);
  } catch (error) {
    told(error);
  }
}

function showUnknown() {
  const known = (character) => vocabulary.isBytes || vocabulary.ids.has(character);
  const unknown = [...new Set(vocabulary.treated(area.value))].filter((character) => !known(character));
  const shown = unknown.slice(0, 10).flatMap((character) => [" ", isolated(harmless(character))]);
  byId("unknown").replaceChildren(
    ...(unknown.length ? ["The model never saw:", ...shown, ". It reads them as unknown."] : []),
  );
}

const bars = Array.from({ length: BARS }, (_, index) => {
  const item = document.createElement("li"), button = document.createElement("button");
  const [bar, key, name, share] = ["bar", "key", "name", "share"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    part.setAttribute("aria-hidden", "true");
    button.append(part);
    return part;
  });
  key.textContent = (index + 1) % 10;
  button.type = "button";
  button.tabIndex = index ? -1 : 0;
  button.addEventListener("click", () => take(index));
  item.append(button);
  byId("bars").append(item);
  return { item, button, bar, name, share };
});

function showNext(logits) {
  listed = likeliest(softmax(logits), vocabulary, BARS);
  bars.forEach(({ item, button, bar, name, share }, index) => {
    const found = listed[index];
    item.hidden = !found;
    if (!found) return;
    name.textContent = nameOf(found.id);
    share.textContent = percent(found.probability);
    bar.style.width = `${100 * found.probability}%`;
    button.setAttribute("aria-label", `${nameOf(found.id)}, ${percent(found.probability)}`);
  });
}

function take(index) {
  const found = listed[index];
  if (!found || writing) return;
  if (found.id === vocabulary.end) {
    say("The model would end the text here. There is no character to add.");
    return;
  }
  keep();
  if (vocabulary.isBytes) {
    const bytes = [...pending, found.id], whole = bytes.length - incomplete(bytes);
    area.value += decodedBytes(bytes.slice(0, whole));
    pending = bytes.slice(whole);
  } else {
    area.value += vocabulary.characters[found.id];
  }
  area.scrollTop = area.scrollHeight;
  byId("back").disabled = false;
  refresh().then(() => {
    const next = listed.slice(0, 3).map(({ id, probability }) => `${nameOf(id)}, ${percent(probability)}`);
    say(`Took ${nameOf(found.id)}. Next: ${next.join("; ")}`);
  });
}

byId("bars").addEventListener("keydown", (event) => {
  const now = bars.findIndex(({ button }) => button === document.activeElement);
  const shown = Math.min(listed.length, BARS) - 1;
  const places = { ArrowDown: Math.min(now + 1, shown), ArrowUp: Math.max(now - 1, 0), Home: 0, End: shown };
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^[0-9]$/.test(event.key)) take((Number(event.key) + 9) % 10);
  else if (event.key in places) bars[places[event.key]].button.focus();
  else if (event.key === "Escape") area.focus();
  else return;
  event.preventDefault();
});
byId("bars").addEventListener("focusin", (event) => {
  bars.forEach(({ button }) => (button.tabIndex = button === event.target ? 0 : -1));
});

// Bytes at the end that begin a character and do not complete it
function incomplete(bytes) {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const first = bytes.at(-length);
    if (first >= 0xc2 && first < 0xf5) return length < (first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4) ? length : 0;
    if (first < 0x80 || first >= 0xc0) return 0;
  }
  return 0;
}

const decodedBytes = (bytes) => new TextDecoder().decode(Uint8Array.from(bytes));
const asText = (ids) => (vocabulary.isBytes ? decodedBytes(ids) : ids.map((id) => vocabulary.characters[id]).join(""));

// Say a text to a screen reader
function say(text) {
  byId("announcer").textContent = text;
}

function keep() {
  before = { text: area.value, pending };
}

function takeBack() {
  [area.value, pending] = [before.text, before.pending];
  byId("back").disabled = true;
  byId("progress").textContent = "";
  say("Taken back.");
  refresh();
}

function chosenSeed() {
  const given = byId("seed").value;
  return given === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : Math.max(0, Math.trunc(Number(given)));
}

async function write() {
  const own = (writing = { stopped: false, ids: [], said: 0, end: "" });
  request += 1;
  keep();
  shownAsWriting(true);
  try {
    const now = await reader.read(tokens(), () => !own.stopped);
    if (now) await writeFrom(own, now);
  } catch (error) {
    told(error);
  }
  showWritten(own, true);
  writing = null;
  shownAsWriting(false);
  byId("back").disabled = false;
  refresh();
}

async function writeFrom(own, mark) {
  const settings = { temperature: Number(byId("temperature").value), topP: Number(byId("top-p").value) };
  const seed = chosenSeed(), random = new Random(seed), pace = Number(byId("pace").value);
  const most = Math.max(0, Math.trunc(Number(byId("length").value))) || Infinity, began = performance.now();
  let now = mark;
  while (!own.stopped && own.ids.length < most) {
    const seconds = (performance.now() - began) / 1000;
    const due = Math.min(most, pace ? Math.ceil(seconds * pace) : Infinity), until = performance.now() + SLICE;
    while (own.ids.length < due && performance.now() < until) {
      const id = drawn(now.logits, vocabulary, settings, random.uniform());
      if (id === vocabulary.end) {
        own.stopped = true;
        own.end = ", and the text ends";
        break;
      }
      own.ids.push(id);
      now = reader.step(id);
    }
    showWritten(own, false);
    showNext(now.logits);
    byId("progress").textContent = counted(own.ids.length);
    await pause(pace ? 1000 / 60 : 0);
  }
  const rate = pace ? "" : `, ${count(Math.round((1000 * own.ids.length) / (performance.now() - began)))} a second`;
  byId("progress").textContent = `${counted(own.ids.length)}${rate}, seed ${seed}${own.end}`;
}

// Put what has been written into the text, in whole graphemes until it is over
function showWritten(own, isOver) {
  const ids = [...before.pending, ...own.ids], whole = ids.length - (vocabulary.isBytes ? incomplete(ids) : 0);
  const written = asText(ids.slice(0, whole)), shown = isOver ? written : withoutLast(written);
  const isAtEnd = area.scrollTop + area.clientHeight > area.scrollHeight - 40;
  area.value = before.text + shown;
  pending = isOver ? ids.slice(whole) : [];
  if (isAtEnd) area.scrollTop = area.scrollHeight;
  const fresh = shown.slice(own.said), place = isOver ? fresh.length : lastBreak(fresh);
  if (place >= (isOver ? 1 : LEAST_SAID)) {
    say(fresh.slice(0, place));
    own.said += place;
  }
}

// The place after the last sentence, line or, without any, word of a text
function lastBreak(text) {
  const sentence = text.search(/[.!?。！？…\n][^.!?。！？…\n]*$/);
  return (sentence >= LEAST_SAID ? sentence : text.length > 3 * LEAST_SAID ? text.lastIndexOf(" ") : -1) + 1;
}

function shownAsWriting(is) {
  byId("write").textContent = is ? "Stop" : "Write";
  area.readOnly = byId("label").disabled = is;
  if (is) byId("back").disabled = true;
}

function writeOrStop() {
  if (writing) writing.stopped = true;
  else write();
}

byId("write").addEventListener("click", writeOrStop);
byId("back").addEventListener("click", takeBack);
area.addEventListener("input", () => {
  pending = [];
  byId("back").disabled = true;
  refresh();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && writing) writing.stopped = true;
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === area) writeOrStop();
  else return;
  event.preventDefault();
});
for (const name of ["temperature", "top-p"]) {
  const show = () => (byId(`${name}-shown`).textContent = Number(byId(name).value).toFixed(2));
  byId(name).addEventListener("input", show);
  show();
}

// ---- Surprise

let scoring = 0; // the number of the last wish for a score
let cells = []; // what the pointer can be at: an element, and a line for each of its tokens

function scoredToken(logits, id) {
  const probabilities = softmax(logits), own = logits[id];
  // By logits, as a probability may be too small for a number
  const bits = (highest(logits) - own) / Math.LN2 - Math.log2(highest(probabilities));
  let rank = 1;
  logits.forEach((each, other) => (rank += each > own || (each === own && other < id)));
  const instead = likeliest(probabilities, vocabulary, data.alternatives);
  return { id, bits, probability: probabilities[id], rank, instead };
}

async function score() {
  const own = (scoring += 1), isCurrent = () => own === scoring;
  const documents = vocabulary.documentsOf(byId("paste").value);
  cells = [];
  byId("shaded").replaceChildren();
  byId("detail").replaceChildren();
  byId("scored").hidden = !documents.length;
  byId("score").textContent = documents.length ? "Reading …" : "";
  const total = { bits: 0, characters: 0, unknown: 0 };
  try {
    for (const each of documents) if (!(await scoreDocument(vocabulary.treated(each), total, isCurrent))) return;
  } catch (error) {
    told(error);
    return;
  }
  if (!documents.length) return;
  const unknown = total.unknown ? `, ${count(total.unknown)} unknown and not counted` : "";
  const mean = total.characters ? (total.bits / total.characters).toFixed(4) : "no";
  byId("score").textContent = `${mean} bits per ${unit} over ${counted(total.characters)}${unknown}`;
  choose(0);
}

// Read a document and draw it as it is read; false once nobody wants it any more
async function scoreDocument(text, total, isCurrent) {
  const ids = [...vocabulary.encode(text), vocabulary.end], parts = [...graphemes(text), null];
  let { logits, state } = network.step(startToken(), network.initialState());
  let until = performance.now() + SLICE, tokens = [], part = 0, left = lengthOf(parts[0]);
  const drawnParts = document.createDocumentFragment();
  for (const id of ids) {
    tokens.push(id === vocabulary.unknown ? null : scoredToken(logits, id));
    if (!(left -= 1)) {
      drawnParts.append(...cellOf(parts[part], tokens, total));
      tokens = [];
      left = lengthOf(parts[(part += 1)]);
    }
    if (id !== vocabulary.end) ({ logits, state } = network.step(id, state));
    if (performance.now() < until) continue;
    byId("shaded").append(drawnParts);
    await pause();
    if (!isCurrent()) return false;
    until = performance.now() + SLICE;
  }
  byId("shaded").append(drawnParts);
  return true;
}

// Number of tokens of a grapheme; the end of a document, which is null, is one
const lengthOf = (grapheme) => (grapheme ? vocabulary.encode(grapheme).length : 1);

// The nodes of a grapheme, or of the end, with its tokens, of which null are unknown
function cellOf(grapheme, tokens, total) {
  const known = tokens.filter(Boolean), bits = known.reduce((sum, each) => sum + each.bits, 0);
  total.bits += bits;
  total.characters += known.length;
  total.unknown += tokens.length - known.length;
  const isLineEnd = grapheme === null || /^[\r\n]+$/.test(grapheme), element = document.createElement("span");
  element.textContent = grapheme === null ? "∎" : isLineEnd ? "↵" : grapheme === "\t" ? "\t" : harmless(grapheme);
  element.className = known.length ? `l${data.bounds.filter((bound) => bits >= bound).length}` : "unknown";
  element.dataset.place = cells.length;
  cells.push({ element, grapheme, tokens });
  return isLineEnd ? [element, "\n"] : [element];
}

// Show what the model thought at a place
function choose(place) {
  const { element, grapheme, tokens } = cells[place];
  byId("shaded").querySelector(".chosen")?.classList.remove("chosen");
  element.classList.add("chosen");
  const lines = tokens.slice(0, MOST_TOLD).map((each) => {
    const line = document.createElement("p");
    if (!each) {
      line.append(isolated(harmless(grapheme)), ": unknown to the model, not counted");
      return line;
    }
    const costs = `${each.bits.toFixed(2)} bits, probability ${percent(each.probability)}, rank ${each.rank}`;
    line.append(isolated(nameOf(each.id)), `: ${costs}. Likeliest:`);
    each.instead.forEach(({ id, probability }, index) => {
      line.append(index ? ", " : " ", isolated(nameOf(id)), ` ${percent(probability)}`);
    });
    return line;
  });
  byId("detail").replaceChildren(...lines);
  byId("place").max = cells.length - 1;
  byId("place").value = place;
  byId("place").setAttribute("aria-valuetext", lines.map((line) => line.textContent).join("; "));
}

for (const kind of ["pointerover", "click"]) {
  byId("shaded").addEventListener(kind, ({ target }) => target.dataset.place && choose(Number(target.dataset.place)));
}
byId("place").addEventListener("input", () => {
  choose(Number(byId("place").value));
  cells[byId("place").value].element.scrollIntoView({ block: "nearest" });
});
let waiting = 0;
byId("paste").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(score, AHEAD);
});
byId("from-above").addEventListener("click", () => {
  byId("paste").value = area.value;
  score();
});

// ---- The beginning

vocabulary.labels.forEach((label, index) => {
  const option = document.createElement("option");
  option.value = label;
  option.textContent = `${data.vocabulary.shown_labels[index]} (${count(data.vocabulary.label_counts[index])})`;
  byId("label").append(option);
});
if (vocabulary.labels.length) {
  byId("label").selectedIndex = data.vocabulary.label_counts.indexOf(Math.max(...data.vocabulary.label_counts));
  byId("label-setting").hidden = false;
  byId("label").addEventListener("change", () => {
    refresh();
    if (byId("paste").value) score();
  });
}
if (matchMedia("(prefers-reduced-motion: reduce)").matches) byId("pace").value = "0";
refresh();
if (byId("paste").value) score(); // which a browser may have kept
