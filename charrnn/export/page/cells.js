// The single step of every cell, with the letters of recurrent/equations.py and scan_equations.py, which say more.
//
// x_t (D) is the input, h_t (H) the hidden state, c_t (H) the cell state, w the weights of a layer by name, a matrix row
// by row. `project(x, w)` is the part that depends on the input alone, `step(projected, state, w, k)` the recurrence: it
// gives the output and the next state, and changes neither. k is the zoneout, the share that a unit keeps of its value.
// A vector is a Float32Array; a token id of V stands for a one-hot vector as { token, size: V }. Sums are in double
// precision.

const LAYER_NORM_EPSILON = 1e-5;
const RMS_NORM_EPSILON = 1e-6;
const MOGRIFIER_ROUNDS = 5;
const DECAY = 8;

const { exp, expm1, log1p, sqrt, tanh } = Math;
const sigmoid = (x) => 0.5 * tanh(0.5 * x) + 0.5;
const softplus = (x) => log1p(exp(-Math.abs(x))) + Math.max(x, 0);
const gelu = (x) => 0.5 * x * (1 + tanh(sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
const positive = (x) => (x > 0 ? x + 0.5 : sigmoid(x));
const zoneout = (k, before, after) => after + k * (before - after);

// W x, four rows at a time, so that no addition waits for the one before and a number of x is read once for all four
function product(W, x) {
  const D = x.length, rows = W.length / D, y = new Float32Array(rows);
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    const first = row * D, second = first + D, third = second + D, fourth = third + D;
    let a = 0, b = 0, c = 0, d = 0;
    for (let j = 0; j < D; j++) {
      const each = x[j];
      a += W[first + j] * each;
      b += W[second + j] * each;
      c += W[third + j] * each;
      d += W[fourth + j] * each;
    }
    y[row] = a;
    y[row + 1] = b;
    y[row + 2] = c;
    y[row + 3] = d;
  }
  for (; row < rows; row++) {
    let a = 0;
    for (let j = 0; j < D; j++) a += W[row * D + j] * x[j];
    y[row] = a;
  }
  return y;
}

// W x for a vector; for a token, a column of W
function inputProduct(x, W) {
  if (x.token === undefined) return product(W, x);
  const y = new Float32Array(W.length / x.size);
  for (let row = 0; row < y.length; row++) y[row] = W[row * x.size + x.token];
  return y;
}

// A vector as it is; the one-hot vector that a token stands for
function dense(x) {
  if (x.token === undefined) return x;
  const y = new Float32Array(x.size);
  y[x.token] = 1;
  return y;
}

// W x for a block-diagonal W (blocks, H / blocks, H / blocks)
function blockwise(W, x) {
  const size = W.length / x.length, y = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += size) {
    const block = W.subarray(first * size, (first + size) * size);
    y.set(product(block, x.subarray(first, first + size)), first);
  }
  return y;
}

function sum(a, b) {
  const y = new Float32Array(a.length);
  for (let j = 0; j < y.length; j++) y[j] = a[j] + b[j];
  return y;
}

// gain ⊙ LN(a): mean 0 and variance 1, except for ε
function layerNorm(a, gain) {
  let mean = 0, variance = 0;
  for (const each of a) mean += each / a.length;
  for (const each of a) variance += (each - mean) ** 2 / a.length;
  const scale = 1 / sqrt(variance + LAYER_NORM_EPSILON);
  return a.map((each, j) => gain[j] * (each - mean) * scale);
}

// x / √(mean x²)
function rmsNorm(x) {
  let square = 0;
  for (const each of x) square += (each * each) / x.length;
  const scale = 1 / sqrt(square + RMS_NORM_EPSILON);
  return x.map((each) => each * scale);
}

// W x + b_W
const affine = (x, w) => sum(inputProduct(x, w.W), w.b_W);

// h_t = f(W x_t + U h_{t-1} + b)
function rnnStep(f) {
  return (projected, { h }, w, k) => {
    const a = sum(sum(projected, product(w.U, h)), w.b_U);
    const next = h.map((before, j) => zoneout(k, before, f(a[j])));
    return [next, { h: next }];
  };
}

// c_t = σ(f) ⊙ c_{t-1} + σ(i) ⊙ tanh(g),  h_t = σ(o) ⊙ tanh(inner(c_t));  a has the blocks i, f, g, o
function lstmUpdate(a, { h, c }, k, inner = (c) => c) {
  const H = h.length;
  const cell = c.map((before, j) => sigmoid(a[H + j]) * before + sigmoid(a[j]) * tanh(a[2 * H + j]));
  const seen = inner(cell);
  const next = h.map((before, j) => zoneout(k, before, sigmoid(a[3 * H + j]) * tanh(seen[j])));
  return [next, { h: next, c: c.map((before, j) => zoneout(k, before, cell[j])) }];
}

// r, z = σ(W + U) of their blocks,  n = tanh(W_n + r ⊙ U_n),  h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}
function gruUpdate(W, U, { h }, k) {
  const H = h.length;
  const next = h.map((before, j) => {
    const r = sigmoid(W[j] + U[j]), z = sigmoid(W[H + j] + U[H + j]);
    const n = tanh(W[2 * H + j] + r * U[2 * H + j]);
    return zoneout(k, before, n + z * (before - n));
  });
  return [next, { h: next }];
}

// γ ⊙ LN(product), the blocks r and z in one LN, n by itself
function lnGruBlocks(product, gain) {
  const two = (2 * product.length) / 3, blocks = new Float32Array(product.length);
  blocks.set(layerNorm(product.subarray(0, two), gain));
  blocks.set(layerNorm(product.subarray(two), gain.subarray(two)), two);
  return blocks;
}

// C_0 ⊙ x_t + C_1 ⊙ x_{t-1} + C_2 ⊙ x_{t-2} + C_3 ⊙ x_{t-3}
function convolved(x, { x1, x2, x3 }, C) {
  const H = x.length;
  return x.map((each, j) => C[j] * each + C[H + j] * x1[j] + C[2 * H + j] * x2[j] + C[3 * H + j] * x3[j]);
}

// W x in the first layer, x above
const entered = (x, w) => (w.W ? inputProduct(x, w.W) : x);

// y = x_0 + W_o h_t,  out = norm(y + W_2 gelu(W_1 norm(y) + b_1))
function minBlock(x, h, w) {
  const y = sum(x, product(w.W_o, h));
  const inner = sum(product(w.W_1, rmsNorm(y)), w.b_1).map(gelu);
  return rmsNorm(sum(y, product(w.W_2, inner)));
}

// h_t = (1 - s) ⊙ h_{t-1} + s ⊙ g(W_h v + b_h), where share(v, w) is s
function minStep(share) {
  return (x, state, w, k) => {
    const u = rmsNorm(x), v = convolved(u, state, w.C), s = share(v, w);
    const candidate = sum(product(w.W_h, v), w.b_h).map(positive);
    const h = state.h.map((before, j) => zoneout(k, before, (1 - s[j]) * before + s[j] * candidate[j]));
    return [minBlock(x, h, w), { h, x1: u, x2: state.x1, x3: state.x2 }];
  };
}

function rgLruStep(x, state, w, k) {
  const normed = rmsNorm(x), u = product(w.W_u, normed), v = convolved(u, state, w.C);
  const r = sum(blockwise(w.W_r, v), w.b_r).map(sigmoid), i = sum(blockwise(w.W_i, v), w.b_i).map(sigmoid);
  const h = state.h.map((before, j) => {
    const log_a = -DECAY * softplus(w.Lambda[j]) * r[j];
    const b = sqrt(RMS_NORM_EPSILON ** 2 - expm1(2 * log_a)) * i[j] * v[j];
    return zoneout(k, before, exp(log_a) * before + b);
  });
  const gate = product(w.W_g, normed).map(gelu);
  const y = sum(x, product(w.W_o, h.map((each, j) => each * gate[j])));
  const second = rmsNorm(y), other = product(w.W_3, second);
  const inner = sum(product(w.W_1, second), w.b_1).map((each, j) => gelu(each) * other[j]);
  return [rmsNorm(sum(y, product(w.W_2, inner))), { h, x1: u, x2: state.x1, x3: state.x2 }];
}

// x = 2 σ(Q_k h) ⊙ x for odd k and h = 2 σ(R_k x) ⊙ h for even k, in turn; then the LSTM's step
function mogrifierStep(projected, state, w, k) {
  let x = projected, h = state.h;
  for (let round = 1; round <= MOGRIFIER_ROUNDS; round++) {
    const gate = round % 2 ? product(w[`Q${round}`], h) : product(w[`R${round}`], x);
    if (round % 2) x = x.map((each, j) => 2 * sigmoid(gate[j]) * each);
    else h = h.map((each, j) => 2 * sigmoid(gate[j]) * each);
  }
  return lstmUpdate(sum(sum(product(w.W, x), product(w.U, h)), w.b), state, k);
}

const CELLS = {
  rnn: { state: ["h"], project: affine, step: rnnStep(tanh) },
  "rnn-relu": { state: ["h"], project: affine, step: rnnStep((a) => Math.max(0, a)) },
  lstm: {
    state: ["h", "c"],
    project: affine,
    step: (projected, state, w, k) => lstmUpdate(sum(sum(projected, product(w.U, state.h)), w.b_U), state, k),
  },
  gru: {
    state: ["h"],
    project: affine,
    step: (projected, state, w, k) => gruUpdate(projected, sum(product(w.U, state.h), w.b_U), state, k),
  },
  "ln-rnn": {
    state: ["h"],
    project: (x, w) => inputProduct(x, w.W),
    // h_t = tanh(γ ⊙ LN(W x_t + U h_{t-1}) + b)
    step: (projected, { h }, w, k) => {
      const a = sum(layerNorm(sum(projected, product(w.U, h)), w.gain), w.b);
      const next = h.map((before, j) => zoneout(k, before, tanh(a[j])));
      return [next, { h: next }];
    },
  },
  "ln-lstm": {
    state: ["h", "c"],
    project: (x, w) => sum(layerNorm(inputProduct(x, w.W), w.gain_W), w.b),
    // i, f, g, o = γ_W ⊙ LN(W x_t) + γ_U ⊙ LN(U h_{t-1}) + b,  h_t = σ(o) ⊙ tanh(γ_c ⊙ LN(c_t) + b_c)
    step: (projected, state, w, k) =>
      lstmUpdate(sum(projected, layerNorm(product(w.U, state.h), w.gain_U)), state, k, (c) =>
        sum(layerNorm(c, w.gain_c), w.b_c),
      ),
  },
  "ln-gru": {
    state: ["h"],
    project: (x, w) => inputProduct(x, w.W),
    // W = γ_W ⊙ LN(W x_t) + b,  U = γ_U ⊙ LN(U h_{t-1}), with b_Un
    step: (projected, state, w, k) => {
      const U = lnGruBlocks(product(w.U, state.h), w.gain_U), first = 2 * state.h.length;
      w.b_Un.forEach((each, j) => (U[first + j] += each));
      return gruUpdate(sum(lnGruBlocks(projected, w.gain_W), w.b), U, state, k);
    },
  },
  "mogrifier-lstm": { state: ["h", "c"], project: dense, step: mogrifierStep },
  "min-gru": {
    state: ["h", "x1", "x2", "x3"],
    project: entered,
    // z = σ(W_z v + b_z)
    step: minStep((v, w) => sum(product(w.W_z, v), w.b_z).map(sigmoid)),
  },
  "min-lstm": {
    state: ["h", "x1", "x2", "x3"],
    project: entered,
    // f, i = σ(W v + b),  i / (f + i) = σ(log i - log f)
    step: minStep((v, w) => {
      const f = sum(product(w.W_f, v), w.b_f), i = sum(product(w.W_i, v), w.b_i);
      return f.map((each, j) => sigmoid(softplus(-each) - softplus(-i[j])));
    }),
  },
  "rg-lru": { state: ["h", "x1", "x2", "x3"], project: entered, step: rgLruStep },
};
