/* The measures of the package in plain JavaScript, for clouds with more points than units: what the live pictures
   compute as they are dragged. A test holds each against the package. Matrices are lists of rows. */
var Measures = (function () {
  "use strict";
  const EPS = 2 ** -52, VARIANCE_KEPT = 0.99, BANDWIDTH = 0.5, REGULARISATION = 0.01, NEIGHBOURS = 10, WHITENING = 0.5;
  const FOLDS = 5, PENALTIES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1];
  const range = (count) => Array.from({ length: count }, (_, i) => i);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const dot = (a, b) => { let total = 0; for (let i = 0; i < a.length; i++) total += a[i] * b[i]; return total; };
  const norm = (a) => Math.sqrt(dot(a, a));
  const mean = (a) => sum(a) / a.length;
  const transposed = (A) => (A.length ? A[0].map((_, j) => A.map((row) => row[j])) : []);
  const product = (A, B) => { const columns = transposed(B); return A.map((row) => columns.map((column) => dot(row, column))); };
  const table = (n, entry) => range(n).map((i) => range(n).map((j) => entry(i, j)));

  /* Singular values, falling, and left singular vectors, of a matrix given by its columns: one-sided Jacobi. */
  function svd(columns) {
    const A = columns.map((column) => Float64Array.from(column)), squares = A.map((column) => dot(column, column));
    for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
      turned = false;
      for (let i = 0; i < A.length; i++) for (let j = i + 1; j < A.length; j++) {
        const a = A[i], b = A[j], z = dot(a, b);
        if (Math.abs(z) <= a.length * EPS * Math.sqrt(squares[i] * squares[j])) continue;
        turned = true;
        const half = (squares[j] - squares[i]) / (2 * z), t = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.hypot(1, half));
        const c = 1 / Math.hypot(1, t), s = c * t;
        for (let k = 0; k < a.length; k++) { const old = a[k]; a[k] = c * old - s * b[k]; b[k] = s * old + c * b[k]; }
        [squares[i], squares[j]] = [dot(a, a), dot(b, b)];
      }
    }
    const pairs = A.map((column) => [norm(column), column]).sort((one, other) => other[0] - one[0]);
    return { values: pairs.map(([value]) => value), left: pairs.map(([value, column]) => Array.from(column, (v) => (value > 0 ? v / value : 0))) };
  }

  /* Upper triangle of an n × n table, row by row. */
  const upper = (A) => A.flatMap((row, i) => row.slice(i + 1));

  function centredTwice(A) {
    const means = A.map(mean), all = mean(means);
    return A.map((row, i) => row.map((value, j) => value - means[i] - means[j] + all));
  }

  const inner = (A, B) => sum(A.map((row, i) => dot(row, B[i])));
  const alignment = (A, B) => inner(A, B) / Math.sqrt(inner(A, A) * inner(B, B));

  function ranks(values) {
    const order = range(values.length).sort((i, j) => values[i] - values[j]), made = values.slice();
    for (let i = 0, j; i < order.length; i = j) {
      for (j = i; j < order.length && values[order[j]] === values[order[i]]; j++);
      for (let k = i; k < j; k++) made[order[k]] = (i + j - 1) / 2;
    }
    return made;
  }

  function correlation(a, b) {
    const [x, y] = [a, b].map((values) => { const middle = mean(values); return values.map((value) => value - middle); });
    const lengths = norm(x) * norm(y);
    return lengths > 0 ? dot(x, y) / lengths : 0;
  }

  /* What measures need of one representation. */
  function represent(rows) {
    const columns = transposed(rows).map((column) => { const middle = mean(column); return column.map((v) => v - middle); });
    const { values, left } = svd(columns);
    const most = values[0] * Math.max(rows.length, columns.length) * EPS;
    const rank = values.filter((value) => value > most).length;
    const singular = values.slice(0, rank), variances = singular.map((value) => value ** 2), total = sum(variances);
    const centred = transposed(columns), lengths = centred.map((row) => dot(row, row));
    const squares = table(rows.length, (i, j) => (i === j ? 0 : sum(centred[i].map((v, k) => (v - centred[j][k]) ** 2))));
    return {
      rows, columns, rank, singular, variances, lengths, squares, left: left.slice(0, rank),
      shares: variances.map((variance) => variance / total),
      constant: rows.map((row) => row.every((value) => value === row[0])),
    };
  }

  function gaussian({ squares }) {
    const distances = upper(squares).map(Math.sqrt).sort((a, b) => a - b), half = distances.length / 2;
    const width = BANDWIDTH * (distances[Math.ceil(half) - 1] + distances[Math.floor(half)]) / 2;
    return centredTwice(squares.map((row) => row.map((square) => Math.exp(-square / (2 * width ** 2)))));
  }

  /* Ranks of 1 − the correlation of every two patterns of the inputs that are kept. */
  function dissimilarities({ rows }, kept) {
    const units = kept.map((i) => { const middle = mean(rows[i]), row = rows[i].map((v) => v - middle), length = norm(row);
      return row.map((v) => v / length); });
    return ranks(upper(table(units.length, (i, j) => Math.round((1 - dot(units[i], units[j])) * 1e12))));
  }

  function neighbourhood({ rows }) {
    const lengths = rows.map(norm);
    const cosines = table(rows.length, (i, j) => (lengths[i] * lengths[j] > 0 ? dot(rows[i], rows[j]) / (lengths[i] * lengths[j]) : 0));
    const nearest = cosines.map((row, own) => {
      const keys = row.map((cosine) => Math.round(cosine * 1e13));
      return range(row.length).filter((i) => i !== own).sort((i, j) => keys[j] - keys[i] || i - j).slice(0, NEIGHBOURS);
    });
    return { cosines, nearest };
  }

  /* The best mean of one entry a row and column; for a handful of units all assignments are tried. */
  function matched(correlations) {
    const best = (row, free) => (row === correlations.length || !free.length ? 0
      : Math.max(...free.map((column) => correlations[row][column] + best(row + 1, free.filter((other) => other !== column)))));
    return best(0, range(correlations[0].length)) / Math.min(correlations.length, correlations[0].length);
  }

  const unbiased = (power, a, b) => {
    const n = a.length, diagonal = dot(a, b);
    return power - diagonal + (sum(a) * sum(b)) / ((n - 1) * (n - 2)) - (2 * diagonal) / (n - 2);
  };

  /* The solution of A Z = B for a small symmetric positive A: Gauss' elimination. */
  function solved(A, B) {
    const rows = A.map((row, i) => [...row, ...B[i]]), size = A.length;
    for (let i = 0; i < size; i++) for (let k = 0; k < size; k++) {
      const factor = k === i ? 0 : rows[k][i] / rows[i][i];
      if (factor) for (let j = i; j < rows[k].length; j++) rows[k][j] -= factor * rows[i][j];
    }
    return rows.map((row, i) => row.slice(size).map((value) => value / row[i]));
  }

  /* Ridge regression of X on Y, cross-validated: `deal` is the order in which inputs are dealt to the folds. */
  function ridge(X, Y, deal) {
    const errors = PENALTIES.map(() => 0), fold = deal.map((place) => place % FOLDS);
    let distances = 0;
    for (const held of range(FOLDS)) {
      const [train, test] = [false, true].map((inside) => range(X.length).filter((i) => (fold[i] === held) === inside));
      const middle = (rows) => transposed(train.map((i) => rows[i])).map(mean), means = [X, Y].map(middle);
      const centred = (rows, chosen, k) => chosen.map((i) => rows[i].map((value, j) => value - means[k][j]));
      const x = centred(X, train, 0), y = transposed(centred(Y, train, 1)), gram = product(y, transposed(y));
      const total = sum(gram.map((row, i) => row[i])), cross = product(y, x);
      const [left, right] = [centred(X, test, 0), centred(Y, test, 1)];
      PENALTIES.forEach((penalty, place) => {
        const loaded = gram.map((row, i) => row.map((value, j) => value + (i === j ? penalty * total : 0)));
        const predicted = product(right, solved(loaded, cross));
        errors[place] += sum(left.flatMap((row, i) => row.map((value, j) => (value - predicted[i][j]) ** 2)));
      });
      distances += sum(left.flat().map((value) => value ** 2));
    }
    return 1 - Math.min(...errors) / distances;
  }

  /* Every measure of X against Y by its id; NaN where there is no score. X is the reference; see `ridge` for `deal`. */
  function scores(X, Y, deal) {
    const x = represent(X), y = represent(Y), n = X.length;
    const M = x.left.map((u) => y.left.map((v) => dot(u, v)));
    const W = M.map((row) => row.map((value) => value ** 2)), shared = sum(W.flat());
    const count = Math.min(x.rank, y.rank), most = Math.max(x.rank, y.rank);
    const canonical = svd(transposed(M)), correlations = canonical.values.slice(0, count);
    const kept = [x, y].map(({ shares }) => { let total = 0; return Math.min(shares.filter((share) => (total += share) < VARIANCE_KEPT).length + 1, shares.length); });
    const truncated = svd(transposed(M.slice(0, kept[0]).map((row) => row.slice(0, kept[1])))).values.slice(0, Math.min(...kept));
    const loads = correlations.map((_, i) => {
      const variate = range(n).map((k) => sum(x.left.map((u, j) => u[k] * canonical.left[i][j])));
      return sum(x.columns.map((column) => Math.abs(dot(variate, column))));
    });
    const power = (a, b) => sum(W.map((row, i) => sum(row.map((w, j) => a[i] * w * b[j]))));
    const size = (a) => dot(a, a);
    const shrunk = [x, y].map(({ shares }) => shares.map((share) => share / (share + REGULARISATION)));
    const gap = size(shrunk[0]) + size(shrunk[1]) - 2 * power(...shrunk);
    const product = power(x.variances, y.variances), cosine = spectral(x.singular, M, y.singular, 1, [1])[0];
    const clipped = (value) => (value > 1 - n * EPS ? 1 : value);
    const mixed = [x, y].map(({ singular, variances }) => singular.map((s) => 1 - WHITENING + (WHITENING * s) / Math.sqrt(mean(variances))));
    const white = svd(transposed(M.map((row, i) => row.map((value, j) => mixed[0][i] * value * mixed[1][j])))).values;
    const patterned = range(n).filter((i) => !x.constant[i] && !y.constant[i]);
    const distances = [x, y].map(({ squares }) => centredTwice(squares.map((row) => row.map(Math.sqrt))));
    const [near, other] = [x, y].map(neighbourhood);
    const common = near.nearest.map((line, i) => line.filter((j) => other.nearest[i].includes(j)).length);
    const units = x.columns.map((a) => y.columns.map((b) => correlation(a, b)));
    return {
      mean_cca: mean(correlations),
      mean_squared_cca: shared / count,
      svcca: mean(truncated),
      pwcca: dot(loads, correlations) / sum(loads),
      eigenspace_overlap: shared / most,
      linear_cka: product / Math.sqrt(size(x.variances) * size(y.variances)),
      debiased_linear_cka: unbiased(product, x.lengths, y.lengths)
        / Math.sqrt(unbiased(size(x.variances), x.lengths, x.lengths) * unbiased(size(y.variances), y.lengths, y.lengths)),
      rbf_cka: alignment(gaussian(x), gaussian(y)),
      nbs: cosine,
      procrustes_distance: Math.sqrt(2 - 2 * clipped(cosine)),
      angular_procrustes: Math.acos(clipped(cosine)),
      shape_metric: Math.acos(clipped(sum(white.slice(0, count)) / (norm(mixed[0]) * norm(mixed[1])))),
      rsa: correlation(dissimilarities(x, patterned), dissimilarities(y, patterned)),
      distance_correlation: Math.sqrt(Math.max(0, alignment(...distances))),
      linear_regression_r2: power(x.variances, y.left.map(() => 1)) / sum(x.variances),
      ridge_r2: ridge(X, Y, deal),
      gulp: gap > EPS * n * (size(shrunk[0]) + size(shrunk[1])) ? Math.sqrt(gap) : 0,
      jaccard_knn: mean(common.map((both, i) => both / (2 * near.nearest[i].length - both))),
      mutual_knn: mean(common.map((both, i) => both / near.nearest[i].length)),
      second_order_cosine: mean(range(n).map((i) => {
        const union = [...new Set([...near.nearest[i], ...other.nearest[i]])];
        const [a, b] = [near, other].map(({ cosines }) => union.map((j) => cosines[i][j]));
        return norm(a) * norm(b) > 0 ? dot(a, b) / (norm(a) * norm(b)) : 0;
      })),
      permutation_matching: matched(units),
      soft_matching: matched(units), // of as many units as here; else other weights
      unit_correlation: X[0].length === Y[0].length ? mean(units.map((row, i) => row[i])) : NaN,
    };
  }

  /* Schatten norm of singular values, relative to the largest so that powers stay finite. */
  function schatten(values, p) {
    const top = Math.max(...values);
    return p === Infinity || top === 0 ? top : top * sum(values.map((value) => (value / top) ** p)) ** (1 / p);
  }

  /* s(α, p) for each p, from singular values of X and of Y and the overlap of their directions. */
  function spectral(x, M, y, alpha, ps) {
    const { a, b, values } = weighed(x, M, y, alpha);
    return ps.map((p) => schatten(values, p) / Math.sqrt(schatten(a, p) * schatten(b, p)));
  }

  /* What the dial α makes of the directions: the weights of X's and of Y's, and the singular values of M_α. */
  function weighed(x, M, y, alpha) {
    const [a, b] = [x, y].map((singular) => singular.map((value) => (value / singular[0]) ** alpha));
    const values = svd(transposed(M.map((row, i) => row.map((value, j) => a[i] * value * b[j])))).values;
    const squares = (weights) => weights.map((weight) => weight ** 2);
    return { a: squares(a), b: squares(b), values: values.slice(0, Math.min(x.length, y.length)) };
  }

  /* The cloud as a state asks for it: units swapped and stretched, turned about the origin, noise added, moved; then
     a share of the inputs exchange their points. */
  function moved(cloud, draws, state) {
    const angle = (state.turn * Math.PI) / 180, [c, s] = [Math.cos(angle), Math.sin(angle)];
    const deviation = Math.sqrt(mean(cloud.flat().map((value) => value ** 2)) - mean(cloud.flat()) ** 2);
    const made = cloud.map((row, i) => {
      const [x, y] = state.swap ? [row[1], row[0]] : row, a = state.first * x, b = state.second * y;
      const [e, f] = draws.noise[i].map((value) => state.noise * deviation * value);
      return [c * a - s * b + e + state.right, s * a + c * b + f + state.up];
    });
    const chosen = draws.order.slice(0, Math.round(state.mixed * cloud.length)), mixed = made.slice();
    chosen.forEach((place, k) => { mixed[place] = made[chosen[(k + 1) % chosen.length]]; });
    return mixed;
  }

  return { scores, spectral, weighed, moved };
})();
if (typeof module === "object") module.exports = Measures;
