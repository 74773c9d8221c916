"""The measures once more, straight from their definitions: plain NumPy, one pair at a time, nothing shared.

Each has the name of the measure that must agree with it, and takes matrices n x p (`flatten`, or another view as one).
"""

import itertools
import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from scipy.stats import spearmanr


def centred(X):
    """Columns less their means, 0 exactly where a column is constant."""
    X = np.asarray(X, dtype=np.float64)
    Xc = X - X.mean(0)
    Xc = Xc - Xc.mean(0)
    Xc[:, (X == X[0]).all(0)] = 0
    return Xc


def thin_svd(X):
    """U, s, V' of the centred matrix, cut at the numerical rank."""
    Xc = centred(X)
    U, s, Vt = np.linalg.svd(Xc, full_matrices=False)
    kept = s > s[0] * max(Xc.shape) * np.finfo(float).eps
    return U[:, kept], s[kept], Vt[kept]


def canonical_correlations(X, Y):
    return np.linalg.svd(thin_svd(X)[0].T @ thin_svd(Y)[0], compute_uv=False)


def mean_cca(X, Y):
    return canonical_correlations(X, Y).mean()


def mean_squared_cca(X, Y):
    return (canonical_correlations(X, Y) ** 2).mean()


def svcca(X, Y, share=0.99):
    kept = []
    for Z in (X, Y):
        U, s, _ = thin_svd(Z)
        k = 1
        while (s[:k] ** 2).sum() < share * (s**2).sum():
            k += 1
        kept.append(U[:, :k])
    return np.linalg.svd(kept[0].T @ kept[1], compute_uv=False).mean()


def pwcca(X, Y):
    """Variates that all correlate 1 are unique but for a rotation: taken along the principal axes of X."""
    U_x, U_y = thin_svd(X)[0], thin_svd(Y)[0]
    A, rho, _ = np.linalg.svd(U_x.T @ U_y, full_matrices=False)
    Xc, H = centred(X), U_x @ A
    tied = rho > 1 - 1e-9
    if tied.any():
        projected = H[:, tied] @ H[:, tied].T @ Xc
        H[:, tied] = np.linalg.svd(projected, full_matrices=False)[0][:, : tied.sum()]
    weights = np.array([sum(abs(h @ x) for x in Xc.T) for h in H.T])
    return (weights * rho).sum() / weights.sum()


def eigenspace_overlap(X, Y):
    """By the projections on both column spaces."""
    projections = [U @ U.T for U in (thin_svd(X)[0], thin_svd(Y)[0])]
    return np.trace(projections[0] @ projections[1]) / max(np.trace(projection) for projection in projections)


def double_centred(K):
    H = np.eye(len(K)) - 1 / len(K)
    return H @ K @ H


def kernel_alignment(K, L):
    K, L = double_centred(K), double_centred(L)
    return (K * L).sum() / math.sqrt((K * K).sum() * (L * L).sum())


def linear_cka(X, Y):
    X, Y = centred(X), centred(Y)
    return kernel_alignment(X @ X.T, Y @ Y.T)


def linear_cka_of_features(X, Y):
    X, Y = centred(X), centred(Y)
    return np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


def hsic_1(X, Y):
    """Song et al. 2012: Gram matrices with zeroed diagonals."""
    K, L = (Z @ Z.T for Z in (centred(X), centred(Y)))
    for gram in (K, L):
        np.fill_diagonal(gram, 0)
    n, one = len(K), np.ones(len(K))
    terms = np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return (terms - 2 / (n - 2) * (one @ K @ L @ one)) / (n * (n - 3))


def debiased_linear_cka(X, Y):
    return hsic_1(X, Y) / math.sqrt(hsic_1(X, X) * hsic_1(Y, Y))


def minibatch_cka(batches):
    """Of pairs (X, Y), one for each batch; larger batches weigh more."""
    cross, x, y = (
        sum(len(X) * hsic_1(*pair(X, Y)) for X, Y in batches)
        for pair in (lambda X, Y: (X, Y), lambda X, Y: (X, X), lambda X, Y: (Y, Y))
    )
    return cross / math.sqrt(x * y)


def debiased_linear_cka_u_centred(X, Y):
    """Székely & Rizzo 2014: U-centred matrices, of which rows and columns sum to 0 beside a zero diagonal."""

    def u_centred(K):
        n = len(K)
        K = K - np.diag(np.diag(K))
        A = K - K.sum(0) / (n - 2) - K.sum(1)[:, None] / (n - 2) + K.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(A, 0)
        return A

    K, L = (u_centred(Z @ Z.T) for Z in (centred(X), centred(Y)))
    return (K * L).sum() / math.sqrt((K * K).sum() * (L * L).sum())


def debiased_linear_cka_of_features(X, Y):
    """The same estimator from features and the lengths of rows (Kornblith et al. 2019)."""

    def product(X, Y):
        n = len(X)
        rows_x, rows_y = (X**2).sum(1), (Y**2).sum(1)
        cross = np.linalg.norm(X.T @ Y) ** 2
        return cross - n / (n - 2) * rows_x @ rows_y + rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))

    X, Y = centred(X), centred(Y)
    return product(X, Y) / math.sqrt(product(X, X) * product(Y, Y))


def distances(X):
    X = np.asarray(X, dtype=np.float64)
    return np.array([[np.linalg.norm(x - y) for y in X] for x in X])


def rbf_cka(X, Y, bandwidth=0.5):
    kernels = []
    for Z in (X, Y):
        D = distances(Z)
        sigma = bandwidth * np.median(D[np.triu_indices(len(D), 1)])
        kernels.append(np.exp(-(D**2) / (2 * sigma**2)))
    return kernel_alignment(*kernels)


def nbs(X, Y):
    X, Y = centred(X), centred(Y)
    return np.linalg.svd(X.T @ Y, compute_uv=False).sum() / (np.linalg.norm(X) * np.linalg.norm(Y))


def root(K):
    """Root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh((K + K.T) / 2)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def nbs_of_kernels(X, Y):
    """The fidelity of two Gram matrices: trace of (K^1/2 L K^1/2)^1/2."""
    K, L = (Z @ Z.T for Z in (centred(X), centred(Y)))
    return np.trace(root(root(K) @ L @ root(K))) / math.sqrt(np.trace(K) * np.trace(L))


def procrustes_distance(X, Y):
    """By the rotation itself: of the larger width, the narrower one padded with zeros."""
    X, Y = centred(X), centred(Y)
    width = max(X.shape[1], Y.shape[1])
    X, Y = (np.pad(Z / np.linalg.norm(Z), ((0, 0), (0, width - Z.shape[1]))) for Z in (X, Y))
    U, _, Vt = np.linalg.svd(Y.T @ X)
    return np.linalg.norm(X - Y @ (U @ Vt))


def angular_procrustes(X, Y):
    return math.acos(min(1, nbs(X, Y)))


def shape_metric(X, Y, alpha=0.5):
    """By the whitened matrices: alpha X + (1 - alpha) X (X'X)^(-1/2), the mean square of the singular values 1."""
    whitened = []
    for Z in (X, Y):
        U, s, Vt = thin_svd(Z)
        whitened.append(alpha * (U * s) @ Vt / math.sqrt((s**2).mean()) + (1 - alpha) * U @ Vt)
    cosine = np.linalg.svd(whitened[0].T @ whitened[1], compute_uv=False).sum()
    return math.acos(min(1, cosine / (np.linalg.norm(whitened[0]) * np.linalg.norm(whitened[1]))))


def rsa_euclidean_kendall(X, Y):
    """Pairs of dissimilarities that both order alike less those that they order unlike, over all."""
    vectors = [distances(Z / np.abs(Z).max())[np.triu_indices(len(Z), 1)].round(12) for Z in (X, Y)]
    signs = [np.sign(v[:, None] - v) for v in vectors]
    pairs = len(vectors[0]) * (len(vectors[0]) - 1)
    return (signs[0] * signs[1]).sum() / pairs


def rsa(X, Y):
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    kept = [i for i in range(len(X)) if np.ptp(X[i]) > 0 and np.ptp(Y[i]) > 0]
    pairs = list(itertools.combinations(kept, 2))
    # Equal dissimilarities differ by rounding, which must not rank them.
    vectors = [[round(1 - np.corrcoef(Z[i] - Z.mean(), Z[j] - Z.mean())[0, 1], 12) for i, j in pairs] for Z in (X, Y)]
    return spearmanr(*vectors).statistic


def distance_correlation(X, Y):
    A, B = double_centred(distances(X)), double_centred(distances(Y))
    covariance = (A * B).mean()
    return math.sqrt(covariance / math.sqrt((A * A).mean() * (B * B).mean()))


def linear_regression_r2(X, Y):
    """Predict X from Y by least squares with an intercept."""
    Xc, Yc = centred(X), centred(Y)
    Yc = Yc / np.abs(Yc).max()
    residual = Xc - Yc @ np.linalg.lstsq(Yc, Xc, rcond=max(Yc.shape) * np.finfo(float).eps)[0]
    return 1 - np.linalg.norm(residual) ** 2 / np.linalg.norm(Xc) ** 2


def ridge_r2(X, Y, folds=5, penalties=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)):
    """Fold by fold, penalty by penalty, with the normal equations."""
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    X, Y = X / np.abs(X).max(), Y / np.abs(Y).max()
    count = min(folds, len(X))
    fold = torch.randperm(len(X), generator=torch.Generator().manual_seed(0)).numpy() % count
    scores = []
    for penalty in penalties:
        error = spread = 0.0
        for number in range(count):
            held, train = fold == number, fold != number
            Yc, Xc = Y[train] - Y[train].mean(0), X[train] - X[train].mean(0)
            ridge = Yc.T @ Yc + penalty * (Yc**2).sum() * np.eye(Y.shape[1])
            predicted = (Y[held] - Y[train].mean(0)) @ np.linalg.solve(ridge, Yc.T @ Xc)
            distance = X[held] - X[train].mean(0)
            error, spread = error + ((distance - predicted) ** 2).sum(), spread + (distance**2).sum()
        scores.append(1 - error / spread)
    return max(scores)


def gulp(X, Y, regularisation=1e-2):
    """By covariances and their regularised inverses (Boix-Adserà et al. 2022, eq. 4), total variances 1."""
    X, Y = (Z / np.linalg.norm(Z) for Z in (centred(X), centred(Y)))
    inverses = [np.linalg.inv(Z.T @ Z + regularisation * np.eye(Z.shape[1])) for Z in (X, Y)]
    own = [inverse @ Z.T @ Z for inverse, Z in zip(inverses, (X, Y), strict=True)]
    cross = inverses[0] @ (X.T @ Y) @ inverses[1] @ (Y.T @ X)
    square = np.trace(own[0] @ own[0]) + np.trace(own[1] @ own[1]) - 2 * np.trace(cross)
    return math.sqrt(max(0, square))


def cosine(x, y):
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return x @ y / lengths if lengths else 0.0


def cosines_and_neighbours(X, k):
    X = np.asarray(X, dtype=np.float64)
    X = X / np.abs(X).max()
    C = np.array([[cosine(x, y) for y in X] for x in X])
    others = [[j for j in range(len(X)) if j != i] for i in range(len(X))]
    nearest = [set(sorted(others[i], key=lambda j, i=i: (-round(C[i, j], 13), j))[:k]) for i in range(len(X))]
    return C, nearest


def jaccard_knn(X, Y, k=10):
    near_x, near_y = (cosines_and_neighbours(Z, min(k, len(X) - 1))[1] for Z in (X, Y))
    return np.mean([len(a & b) / len(a | b) for a, b in zip(near_x, near_y, strict=True)])


def mutual_knn(X, Y, k=10):
    near_x, near_y = (cosines_and_neighbours(Z, min(k, len(X) - 1))[1] for Z in (X, Y))
    return np.mean([len(a & b) / len(a) for a, b in zip(near_x, near_y, strict=True)])


def second_order_cosine(X, Y, k=10):
    (C, near_x), (D, near_y) = (cosines_and_neighbours(Z, min(k, len(X) - 1)) for Z in (X, Y))
    unions = [sorted(a | b) for a, b in zip(near_x, near_y, strict=True)]
    return np.mean([cosine(C[i, union], D[i, union]) for i, union in enumerate(unions)])


def unit_correlations(X, Y):
    X, Y = centred(X), centred(Y)
    return np.array([[cosine(x / (abs(x).max() or 1), y / (abs(y).max() or 1)) for y in Y.T] for x in X.T])


def unit_correlation(X, Y):
    return np.diag(unit_correlations(X, Y)).mean()


def permutation_matching(X, Y):
    correlations = unit_correlations(X, Y)
    return correlations[linear_sum_assignment(-correlations)].mean()


def soft_matching(X, Y):
    """Copies of the units, as many of each as make the numbers equal, and their best one-to-one matching."""
    correlations = unit_correlations(X, Y)
    copies = math.lcm(*correlations.shape)
    copied = correlations.repeat(copies // len(correlations), 0).repeat(copies // len(correlations.T), 1)
    return copied[linear_sum_assignment(-copied)].mean()


def permutation_matching_by_trying_all(X, Y):
    """Over all matchings; p <= q, few units."""
    correlations = unit_correlations(X, Y)
    p, q = correlations.shape
    return max(correlations[range(p), chosen].mean() for chosen in itertools.permutations(range(q), p))


def spectral_similarity(X, Y, alpha, p):
    """By the matrices M_alpha themselves and the p-norms of their singular values."""
    (U_x, s_x, _), (U_y, s_y, _) = thin_svd(X), thin_svd(Y)

    def schatten(matrix):
        return np.linalg.norm(np.linalg.svd(matrix, compute_uv=False), p)

    M = np.diag(s_x**alpha) @ U_x.T @ U_y @ np.diag(s_y**alpha)
    return schatten(M) / math.sqrt(schatten(np.diag(s_x ** (2 * alpha))) * schatten(np.diag(s_y ** (2 * alpha))))


def jensen_shannon(x, y):
    P, Q = softmax(np.asarray(x, np.float64), 1), softmax(np.asarray(y, np.float64), 1)
    total = 0.0
    for p, q in zip(P, Q, strict=True):
        m = (p + q) / 2
        total += 0.5 * sum(a * math.log2(a / b) for a, b in zip(p, m, strict=True) if a > 0)
        total += 0.5 * sum(a * math.log2(a / b) for a, b in zip(q, m, strict=True) if a > 0)
    return total / len(P)
