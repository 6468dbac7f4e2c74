// A model that runs: its weights, its network, its characters, and how the next of them is drawn. It knows no page.
//
// `data` is the object that `export/model_page.py` makes.

// The network: encoder, layers and head, with the arrays by the names of charrnn/layout.py. A state is a value.
class Network {
  constructor(config, arrays) {
    this.cell = CELLS[config.cell];
    this.config = config;
    this.arrays = arrays;
    this.layers = Array.from({ length: config.layers }, (_, index) => {
      const prefix = `stack.layers.${index}.`;
      const own = Object.entries(arrays).filter(([name]) => name.startsWith(prefix));
      return Object.fromEntries(own.map(([name, array]) => [name.slice(prefix.length), array]));
    });
    this.size = arrays["head.bias"].length;
    this.table = new Map(); // of the first layer's projection of each token, which is always the same
  }

  initialState() {
    const { layers, hidden_size: H } = this.config;
    const zeros = () => Object.fromEntries(this.cell.state.map((name) => [name, new Float32Array(H)]));
    return Array.from({ length: layers }, zeros);
  }

  // Logits (V) after a token, and the next state
  step(token, state) {
    let x = null;
    const next = this.layers.map((w, index) => {
      const projected = index ? this.cell.project(x, w) : this.first(token);
      const [outputs, after] = this.cell.step(projected, state[index], w, this.config.zoneout);
      x = index && this.config.residual ? sum(x, outputs) : outputs;
      return after;
    });
    return { logits: sum(product(this.arrays["head.weight"], x), this.arrays["head.bias"]), state: next };
  }

  first(token) {
    if (!this.table.has(token)) this.table.set(token, this.cell.project(this.encoded(token), this.layers[0]));
    return this.table.get(token);
  }

  encoded(token) {
    const vectors = this.arrays["encoder.vectors.weight"], D = this.config.embedding_size;
    return vectors ? vectors.subarray(token * D, (token + 1) * D) : { token, size: this.size };
  }
}

// Arrays by name from base64 of their little-endian numbers, one array after the other
function decodedArrays(base64, sizes, precision) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let j = 0; j < bytes.length; j++) bytes[j] = text.charCodeAt(j);
  const numbers = precision === "fp16" ? fromHalves(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  let first = 0;
  return Object.fromEntries(sizes.map(([name, size]) => [name, numbers.subarray(first, (first += size))]));
}

// Numbers in half precision (IEEE 754, all finite) as single precision
function fromHalves(halves) {
  const bits = new Uint32Array(halves.length), numbers = new Float32Array(bits.buffer);
  halves.forEach((half, j) => {
    const sign = (half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent) bits[j] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else numbers[j] = (sign ? -fraction : fraction) * 2 ** -24;
  });
  return numbers;
}

// Characters and their token ids, as in text/vocabulary.py, and the treatment of a text before it is read.
class Vocabulary {
  constructor({ characters, unit, labels }, text) {
    this.isBytes = unit === "byte";
    this.characters = Array.from(characters);
    this.ids = new Map(this.characters.map((character, id) => [character, id]));
    this.labels = labels;
    this.text = text;
    this.start = this.characters.length;
    this.end = this.start + Math.max(labels.length, 1);
    this.unknown = this.end + 1;
    this.size = this.unknown + 1;
    this.isOfDocuments = text.documents !== "none";
  }

  // Ids that can be drawn: no start, not unknown, and the end only in a model of documents
  canBeDrawn(id) {
    return id < this.start || (id === this.end && this.isOfDocuments);
  }

  // Whether an id is listed among what may come next
  isListed(id) {
    return id < this.start || id === this.end;
  }

  // All tokens to read before a text goes on; an empty one begins after the end of a paragraph, as in `charrnn sample`
  begun(start, ids) {
    return [start, ...(ids.length ? ids : this.encode(this.text.lead_in))];
  }

  startOf(label) {
    return this.start + Math.max(this.labels.indexOf(label), 0);
  }

  // A text as the training text was treated. A browser has LF for every line end; a model of a text with CRLF or CR
  // reads what it learned.
  treated(text) {
    if (this.isBytes) return text;
    const { normalize, newlines, documents } = this.text;
    let found = this.ids.has("\ufeff") ? text : text.replace(/^\ufeff/, "");
    found = found.replace(/\r\n?/g, "\n");
    if (newlines === "keep" && documents !== "line" && this.ids.has("\r"))
      found = found.replace(/\n/g, this.ids.has("\n") ? "\r\n" : "\r");
    return normalize ? found.normalize(normalize.toUpperCase()) : found;
  }

  // Ids of a treated text
  encode(text) {
    if (this.isBytes) return Array.from(new TextEncoder().encode(text));
    return Array.from(text, (character) => this.ids.get(character) ?? this.unknown);
  }

  // A text taken apart as the training text was: into itself, lines, or parts between blank lines
  documentsOf(text) {
    const { documents } = this.text;
    if (documents === "line") return text.split(/\r?\n/).filter(Boolean);
    if (documents !== "blank") return text ? [text] : [];
    const parts = text.split(/\r?\n(?:[ \t]*\r?\n)+/);
    return parts.map((part) => part.replace(/^[\r\n]+|[\r\n]+$/g, "")).filter(Boolean);
  }
}

const highest = (numbers) => numbers.reduce((a, b) => Math.max(a, b), -Infinity);

// Probabilities (V) of logits; an Error if they are no numbers, as huge weights can make them
function softmax(logits) {
  const best = highest(logits);
  if (!Number.isFinite(best)) throw new Error("The weights of this model are so large that they overflow.");
  const shares = Float64Array.from(logits, (each) => exp(each - best));
  const total = shares.reduce((a, b) => a + b, 0);
  return shares.map((each) => each / total);
}

// The `count` likeliest ids that `vocabulary` lists, with their probabilities; of equals the smaller id comes first
function likeliest(probabilities, vocabulary, count) {
  const found = [];
  probabilities.forEach((probability, id) => {
    if (!vocabulary.isListed(id) || (found.length === count && probability <= found[count - 1].probability)) return;
    let place = found.length;
    while (place && found[place - 1].probability < probability) place -= 1;
    found.splice(place, 0, { id, probability });
    found.length = Math.min(found.length, count);
  });
  return found;
}

// An id drawn from logits, as sampling/filters.py has it: temperature, then top-p; at temperature 0 the likeliest
function drawn(logits, vocabulary, { temperature, topP }, uniform) {
  const allowed = Float64Array.from(logits, (each, id) => (vocabulary.canBeDrawn(id) ? each : -Infinity));
  const most = highest(allowed), best = allowed.indexOf(most);
  if (temperature === 0 && Number.isFinite(most)) return best;
  const shares = softmax(allowed.map((each) => (each - most) / temperature));
  const kept = topP < 1 ? mostLikely(shares, topP) : Array.from(shares.keys());
  let rest = uniform * kept.reduce((total, id) => total + shares[id], 0);
  return kept.find((id) => (rest -= shares[id]) < 0) ?? best;
}

// The fewest likeliest ids of total probability p or more, in their order
function mostLikely(shares, p) {
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b);
  let total = 0;
  return order.filter((id) => (total += shares[id]) - shares[id] < p).sort((a, b) => a - b);
}

// Random numbers from a seed: a counter, mixed until every bit depends on every other (the finaliser of MurmurHash3)
class Random {
  constructor(seed) {
    this.key = Random.mixed(Random.mixed(Math.floor(seed / 2 ** 32)) ^ seed);
    this.count = 0;
  }

  static mixed(number) {
    let x = number | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return x ^ (x >>> 16);
  }

  // In [0, 1)
  uniform() {
    this.count += 1;
    return (Random.mixed(Random.mixed(this.count + this.key) ^ this.key) >>> 0) / 2 ** 32;
  }
}
