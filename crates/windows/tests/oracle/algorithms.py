"""What the algorithms of calculate windows should give, by numpy, scipy and scikit-learn.

Writes algorithms.json, which crates/windows/tests/algorithms.rs compares with. Run it after a change of the cases:
    pip install numpy scipy scikit-learn && python3 crates/windows/tests/oracle/algorithms.py
Every case is a project fragment (parameters, input map, output map), an input stream, and the rows that must come out.
Results are worked out from the whole history of each event, as the definitions say; None is null.
"""

import json
import math
import pathlib

import numpy as np
import scipy.signal
import scipy.special
import scipy.stats
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

rng = np.random.default_rng(20261124)
N = 160
t = np.arange(N)
x = np.round(2 * np.sin(t / 5) + rng.normal(0, 0.4, N) + 3, 6)
y = np.round(np.roll(x, 3) * 0.7 + rng.normal(0, 0.3, N), 6)
x, y = x.tolist(), y.tolist()
for hole in (7, 8, 40, 95):
    x[hole] = None
for hole in (8, 60):
    y[hole] = None
INPUT = [[i, x[i], y[i]] for i in range(N)]

cases = []


def clean(value):
    if value is None or (isinstance(value, float) and (math.isnan(value) or math.isinf(value))):
        return None
    return value.item() if isinstance(value, np.generic) else value


def case(algorithm, parameters, inputs, outputs, rows, stream=None, schema="id*:int64,x:double,y:double"):
    """`outputs`: result -> field:type (`*` marks a key); rows hold their values in that order, behind the input's id."""
    cases.append({
        "algorithm": algorithm,
        "parameters": parameters,
        "inputs": inputs,
        "outputs": outputs,
        "schema": schema,
        "input": INPUT if stream is None else stream,
        "rows": [[clean(value) for value in row] for row in rows],
    })


def summary(values, alpha):
    """lclm, uclm, skewness, kurtosis, t, its probability."""
    values = [v for v in values if v is not None]
    n = len(values)
    if n < 2 or np.var(values) == 0:
        return [None] * 6
    mean, error = np.mean(values), scipy.stats.sem(values)
    low, high = scipy.stats.t.interval(1 - alpha, n - 1, loc=mean, scale=error)
    t, p = scipy.stats.ttest_1samp(values, 0)
    skewness = scipy.stats.skew(values, bias=False) if n >= 3 else None
    kurtosis = scipy.stats.kurtosis(values, bias=False) if n >= 4 else None
    return [low, high, skewness, kurtosis, t, p]


for length, alpha in ((20, 0.05), (4, 0.2), (0, 0.01)):
    case("Summary", {"windowLength": length, "alpha": alpha}, {"input": "x"},
         {"lclmOut": "a:double", "uclmOut": "b:double", "skewnessOut": "c:double", "kurtosisOut": "d:double",
          "tValueOut": "e:double", "probtOut": "f:double"},
         [[i] + summary(x[max(0, i + 1 - length) if length else 0:i + 1], alpha) for i in range(N)])


def correlation(pairs):
    pairs = [p for p in pairs if None not in p]
    if len(pairs) < 2:
        return None
    a, b = np.array(pairs).T
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else None


for length in (0, 12):
    rows = [[i, correlation(list(zip(x, y))[max(0, i + 1 - length) if length else 0:i + 1])] for i in range(N)]
    case("Correlation", {"windowLength": length}, {"x": "x", "y": "y"}, {"corOut": "c:double"}, rows)

rows, mean, ranges = [], None, None
for i in range(N):
    values = [v for v in x[:i + 1] if v is not None]
    if x[i] is not None:
        ranges = max(values[-6:]) - min(values[-6:])
        mean = ranges if mean is None else mean + 2 / 5 * (ranges - mean)
    rows.append([i, ranges, mean])
case("MRR", {"rangeWindowLength": 6, "expRangeWindowLength": 4}, {"input": "x", "timeId": "id"},
     {"rangeOut": "r:double", "erangeOut": "e:double"}, rows)

for length in (0, 15):
    rows = []
    for i in range(N):
        pairs = list(zip(x, y))[max(0, i + 1 - length) if length else 0:i + 1]
        full = [p for p in pairs if None not in p]
        if full:
            predicted, response = np.array(full).T
            ase, mae = metrics.mean_squared_error(response, predicted), metrics.mean_absolute_error(response, predicted)
            logs = (np.log1p(response) - np.log1p(predicted)) ** 2
            msle = float(np.mean(logs))
            rows.append([i, len(full), len(pairs) - len(full), ase, len(full), ase ** .5, None, mae, mae ** .5, msle, msle ** .5])
        else:
            rows.append([i, 0, len(pairs), None, 0] + [None] * 6)
    case("FitStat", {"windowLength": length}, {"inputs": "x", "response": "y"},
         {"nOut": "n:int64", "nmissOut": "m:int64", "aseOut": "ase:double", "divOut": "div:int64", "raseOut": "rase:double",
          "mceOut": "mce:double", "maeOut": "mae:double", "rmaeOut": "rmae:double", "msleOut": "msle:double",
          "rmsleOut": "rmsle:double"}, rows)

stream, rows, labels, proba = [], [], [], []
for i in range(60):
    p = rng.dirichlet([1.0, 1.0, 1.0]).round(4)
    labels.append(["a", "b", "c"][int(rng.integers(0, 3))])
    proba.append(p)
    stream.append([i, *[float(v) for v in p], labels[-1]])
    hot = np.array([[1.0 * (c == l) for c in "abc"] for l in labels])
    P = np.array(proba)
    wrong = float(np.mean(P.argmax(axis=1) != hot.argmax(axis=1)))
    loss = float(-np.mean(np.log(np.clip((P * hot).sum(axis=1), 1e-15, None))))
    rows.append([i, len(labels), float(np.mean((hot - P) ** 2)), wrong, loss])
case("FitStat", {}, {"inputs": "P_a,P_b,P_c", "response": "l"},
     {"nOut": "n:int64", "aseOut": "ase:double", "mceOut": "mce:double", "mcllOut": "mcll:double"}, rows, stream,
     "id*:int64,P_a:double,P_b:double,P_c:double,l:string")


def frames(values, length, overlap):
    there = [(i, v) for i, v in enumerate(values) if v is not None]
    for start in range(0, len(there) - length + 1, length - overlap):
        part = there[start:start + length]
        yield part[-1][0], np.array([v for _, v in part])


def fft(values, length):
    """The transform of real values; the bins that mirror themselves are real to the bit."""
    half = np.fft.rfft(values, length)
    return np.concatenate([half, np.conj(half[1:(length + 1) // 2][::-1])])


TAPERS = {
    1: lambda n: scipy.signal.windows.bartlett(n), 2: lambda n: scipy.signal.windows.bohman(n),
    3: lambda n: scipy.signal.windows.chebwin(n, 100), 4: lambda n: scipy.signal.windows.gaussian(n, (n - 1) / 5),
    5: lambda n: scipy.signal.windows.kaiser(n, 0.5), 6: lambda n: scipy.signal.windows.parzen(n),
    7: lambda n: scipy.signal.windows.boxcar(n), 10: lambda n: scipy.signal.windows.tukey(n, 0.5),
    11: lambda n: scipy.signal.windows.barthann(n), 12: lambda n: scipy.signal.windows.blackmanharris(n),
    13: lambda n: scipy.signal.windows.blackman(n), 14: lambda n: scipy.signal.windows.hamming(n),
    15: lambda n: scipy.signal.windows.hann(n), 16: lambda n: scipy.signal.windows.flattop(n),
}
for number, taper in TAPERS.items():
    for length, bins, overlap in ((16, 0, 0), (15, 32, 5)) if number in (3, 10, 14) else ((12, 0, 4),):
        rows = []
        for i, frame in frames(x[:60], length, overlap):
            spectrum = fft(frame * taper(length), bins or length)
            for bin_, value in enumerate(spectrum):
                # A phase of what is nearly nothing is rounding.
                rows.append([i, i, bin_, abs(value) ** 2, float(np.angle(value)) if abs(value) > 1e-6 else "any"])
        case("STFT", {"windowLength": length, "windowType": number, "fftLength": bins, "overlap": overlap},
             {"input": "x", "timeId": "id"},
             {"timeIdOut": "time:int64", "binOut": "bin*:int64", "powerOut": "p:double", "phaseOut": "a:double"}, rows,
             INPUT[:60])

rows = [[i, [float(v) for v in np.abs(np.fft.fft(f)) ** 2]] for i, f in frames(x, 10, 3)]
case("STFT", {"windowLength": 10, "overlap": 3, "binsInSchema": 1}, {"input": "x"}, {"powerOut": "p:array(dbl)"}, rows)


def unwrapped(phase):
    n = len(phase)
    phase = np.unwrap(phase)
    middle = (n + 1) // 2
    return phase - np.pi * np.round(phase[middle] / np.pi) * np.arange(n) / middle


for complex_ in (0, 1):
    rows = []
    for i, frame in frames(x, 16, 4):
        spectrum = fft(frame * TAPERS[14](16), 16)
        log = np.log(np.abs(spectrum)) + (1j * unwrapped(np.angle(spectrum)) if complex_ else 0)
        cepstrum = np.real(np.fft.ifft(log))
        rows.append([i, *[float(v) for v in cepstrum[:6]]])
    case("Cepstrum", {"windowLength": 16, "windowType": 14, "overlap": 4, "complexCepstrum": complex_}, {"input": "x"},
         {"cepstrumListOut": "c[1-6]:double"}, rows)

indicator = [1 if i % 19 == 4 else 0 for i in range(N)]
stream = [[i, x[i], float(indicator[i])] for i in range(N)]
rows, current, before, result = [], None, None, None
for i in range(N):
    if indicator[i]:
        if current is not None and 5 <= len(current) <= 30:
            drawn = np.interp(np.linspace(0, len(current) - 1, 25), np.arange(len(current)), current)
            if before is not None:
                result = float(np.corrcoef(before, drawn)[0, 1])
            before = drawn
        current = []
    if x[i] is not None and current is not None:
        current.append(x[i])
    rows.append([i, result])
case("SegmentedCorrelation", {"sampleSize": 25, "minSize": 5, "maxSize": 30}, {"x": "x", "indicator": "y"},
     {"corOut": "c:double"}, rows, stream)

rows, last = [], [None] * 7
for i in range(N):
    pairs = [p for p in list(zip(x, y))[:i + 1] if None not in p][-40:]
    if None not in (x[i], y[i]):
        found = []
        if len(pairs) >= 2:
            a, b = np.array(pairs).T
            n, a, b = len(a), a - a.mean(), b - b.mean()
            scale = n * a.std() * b.std()
            for lag in range(-4, 9):
                if abs(lag) + 2 <= n and scale > 0:
                    c = float((a[:n - lag] * b[lag:]).sum() if lag >= 0 else (a[-lag:] * b[:n + lag]).sum()) / scale
                    found.append((lag, c))
        if found:
            top = max(found, key=lambda f: abs(f[1]))
            high, low = max(found, key=lambda f: f[1]), min(found, key=lambda f: f[1])
            last = [abs(top[1]), top[0], high[1], high[0], low[1], low[0], len(found)]
        else:
            last = [None] * 6 + [0]
    rows.append([i, *last])
case("LagMonitor", {"minLag": -4, "maxLag": 8, "windowLength": 40}, {"input": "x", "target": "y"},
     {"absCCFOut": "a:double", "absLagOut": "al:int64", "maxCCFOut": "b:double", "maxLagOut": "bl:int64",
      "minCCFOut": "c:double", "minLagOut": "cl:int64", "numComputedLagsOut": "n:int64"}, rows)


def histogram(values, bins, factor):
    held = []
    for value in values:
        held = [[c, w * factor] for c, w in held]
        same = [b for b in held if b[0] == value]
        if same:
            same[0][1] += 1
        else:
            held.append([value, 1.0])
        held.sort()
        if len(held) > bins:
            at = min(range(len(held) - 1), key=lambda k: held[k + 1][0] - held[k][0])
            (a, w), (b, v) = held[at], held[at + 1]
            held[at:at + 2] = [[(a * w + b * v) / (w + v), w + v]]
    return held


def quantile(held, share):
    centers, weights = np.array(held).T
    return float(np.interp(share * weights.sum(), np.cumsum(weights) - weights / 2, centers))


for factor, interval in ((1.0, 1), (0.9, 7)):
    rows, seen = [], 0
    for i in range(N):
        if x[i] is None:
            continue
        seen += 1
        if seen % interval:
            continue
        held = histogram([v for v in x[:i + 1] if v is not None], 8, factor)
        centers, weights = [list(v) for v in zip(*held)]
        rows.append([i, centers, weights, [quantile(held, q) for q in (0.1, 0.5, 0.9)]])
    case("Histogram", {"nBins": 8, "alpha": factor, "reportInterval": interval, "quantileList": "0.1,0.5,0.9"}, {"input": "x"},
         {"binCentersOut": "c:array(dbl)", "binHeightsOut": "h:array(dbl)", "quantilesOut": "q:array(dbl)"}, rows)

for name in ("Weibull", "Gamma", "Normal"):
    rows = []
    for i, frame in frames(x, 40, 20):
        if name == "Normal":
            rows.append([i, float(frame.std()), None, float(frame.mean()), 1])
            continue
        positive = frame[frame > 0]
        if name == "Weibull":
            shape, _, scale = scipy.stats.weibull_min.fit(positive, floc=0)
            # The fit of scipy ends early; a few steps of Newton's make it exact.
            logs = np.log(positive / np.exp(np.log(positive).mean()))
            for _ in range(50):
                p = np.exp(shape * logs)
                a, b, c = p.sum(), (p * logs).sum(), (p * logs * logs).sum()
                shape -= (b / a - 1 / shape) / (c / a - (b / a) ** 2 + 1 / shape ** 2)
            scale = float(np.mean(positive ** shape) ** (1 / shape))
            rows.append([i, float(shape), scale, 0.0, 1])
        else:
            s = np.log(positive.mean()) - np.log(positive).mean()
            shape = float(scipy.optimize.brentq(lambda k: np.log(k) - scipy.special.digamma(k) - s, 1e-3, 1e4, xtol=1e-14))
            rows.append([i, float(positive.mean() / shape), shape, 0.0, 1])
    case("DistributionFitting", {"windowLength": 40, "overlap": 20, "distribution": name}, {"input": "x"},
         {"betaOut": "b:double", "alphaOut": "a:double", "muOut": "m:double", "convergeOut": "ok:int64"}, rows)

stream = [[i, float(v)] for i, v in enumerate(np.concatenate([rng.normal(0, 1, 120), rng.normal(2.5, 1, 120)]).round(5))]
rows, reference, sliding, since, due, least = [], [], [], 0, 10, None
for i, value in stream:
    if len(reference) < 50:
        reference.append(value)
        continue
    sliding.append(value)
    since += 1
    if since < due:
        continue
    ref, slide = histogram(reference, 12, 1.0), histogram(sliding, 12, 0.95)
    low, high = min(ref[0][0], slide[0][0]), max(ref[-1][0], slide[-1][0])

    def shares(held):
        cells = np.full(12, 0.5)
        for center, weight in held:
            cells[min(11, int((center - low) / ((high - low) / 12)))] += weight
        return cells / cells.sum()
    divergence = float(scipy.stats.entropy(shares(slide), shares(ref)))
    least = divergence if least is None else min(least, divergence)
    diff = divergence - least
    since, due = 0, min(10, max(1, math.ceil(10 * min(1, max(0, 1 - diff / 0.8)))))
    changed = diff > 0.8
    rows.append([i, 1, diff, int(changed)])
    if changed:
        reference, sliding, due, least = [], [], 10, None
case("ChangeDetection", {"nBins": 12, "slidingAlpha": 0.95, "refWindowSize": 50, "maxEvalSteps": 10, "changeThreshold": 0.8},
     {"input": "x"}, {"evaluatedOut": "e:int64", "changeValueOut": "v:double", "changeDetectedOut": "c:int64"}, rows, stream,
     "id*:int64,x:double")

stream = [[i, float(np.round(rng.beta(2 + 2 * (i % 3 == 0), 3), 3)), int(i % 3 == 0)] for i in range(40)]
rows = []
for i in range(40):
    p, r = np.array([s[1] for s in stream[:i + 1]]), np.array([s[2] for s in stream[:i + 1]])
    cuts = [min(1.0, k * 0.1) for k in range(11)]
    binned = np.array([max(k for k in range(11) if cuts[k] <= v) for v in p])
    made, distances = [], []
    for k, cut in enumerate(cuts):
        tp, fp = int(((p >= cut) & (r == 1)).sum()), int(((p >= cut) & (r == 0)).sum())
        events, others = int((r == 1).sum()), int((r == 0).sum())
        fn, tn = events - tp, others - fp
        div = lambda a, b: a / b if b else None
        sens, fpr = div(tp, events), div(fp, others)
        distances.append(None if None in (sens, fpr) else sens - fpr)
        made.append([i, k, cut, tp, fp, fn, tn, sens, div(tn, others), distances[-1], div(1.25 * tp, 1.25 * tp + .25 * fn + fp),
                     fpr, (tp + tn) / (i + 1), div(fp, tp + fp), div(2 * tp, 2 * tp + fn + fp),
                     float(metrics.roc_auc_score(r, binned)) if 0 < events <= i else None])
    rows += made
case("ROC", {"cutStep": 0.1}, {"input": "x", "response": "y"},
     {"binIdOut": "bin*:int64", "cutOffOut": "cut:double", "tpOut": "tp:int64", "fpOut": "fp:int64", "fnOut": "fn:int64",
      "tnOut": "tn:int64", "sensitivityOut": "se:double", "specificityOut": "sp:double", "ks2Out": "ks:double",
      "fHalfOut": "fh:double", "fprOut": "fpr:double", "accOut": "acc:double", "fdrOut": "fdr:double", "f1Out": "f1:double",
      "cOut": "auc:double"}, rows, stream, "id*:int64,x:double,y:int64")

documents = ["to be or not to be", "to do is to be", "do be do", "nothing at all"]
stream, rows, seen = [], [], []
for d, document in enumerate(documents):
    for k, token in enumerate(document.split()):
        stream.append([len(stream), d, token])
        seen.append((d, token))
        mine = [t for e, t in seen if e == d]
        tf = mine.count(token) / len(mine)
        idf = math.log((d + 1) / len({e for e, t in seen if t == token}))
        rows.append([len(stream) - 1, tf, idf, tf * idf])
case("TFIDF", {}, {"docId": "doc", "token": "word"}, {"tfOut": "tf:double", "idfOut": "idf:double", "tfidfOut": "x2:double"}, rows,
     stream, "id*:int64,doc:int64,word:string")

base = rng.normal(0, 1, (120, 2))
mixed = base @ np.array([[2.0, 1.0, 0.5, -1.0], [0.1, -0.3, 0.2, 0.1]]) + rng.normal(0, 0.05, (120, 4)) + [1, 2, 3, 4]
mixed[60:] = mixed[60:] @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
stream = [[i, *[float(v) for v in row]] for i, row in enumerate(mixed.round(5))]
rows, mean, covariance, before, first = [], None, np.zeros((4, 4)), None, None
for i, *values in stream:
    v = np.array(values)
    mean = v if mean is None else 0.9 * mean + 0.1 * v
    mean = 0.9 * mean + 0.1 * v if i == 0 else mean
    covariance = 0.95 * covariance + 0.05 * np.outer(v - mean, v - mean)
    if i < 19 or (i - 19) % 15:
        continue
    eigenvalues, vectors = np.linalg.eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    rank = 1
    while rank < 3 and eigenvalues[:rank].sum() < 0.99 * eigenvalues.sum():
        rank += 1
    principal = vectors[:, 0] * np.sign(vectors[np.abs(vectors[:, 0]).argmax(), 0])
    d = v - mean
    inside = vectors[:, :rank].T @ d
    angle = lambda other: 0.0 if other is None else float(np.degrees(np.arccos(min(1, abs(principal @ other)))))
    rows.append([i, principal.tolist(), float(np.degrees(np.arccos(min(1, np.linalg.norm(inside) / np.linalg.norm(d))))),
                 float(np.linalg.norm(d - vectors[:, :rank] @ inside)), rank, angle(before), angle(first)])
    before, first = principal, principal if first is None else first
case("SST", {"windowLength": 20, "overlap": 5, "maxPrincipal": 3, "meanForgetFactor": 0.9, "covForgetFactor": 0.95,
             "eigvalTolCumulative": 0.99}, {"inputs": "s[1-4]"},
     {"principalVecOut": "v:array(dbl)", "projAngleOut": "p:double", "residualOut": "r:double", "numRankOut": "k:int64",
      "PCAngleChangeOut": "a:double", "PCAbsoluteAngleOut": "b:double"}, rows, stream,
     "id*:int64,s1:double,s2:double,s3:double,s4:double")



def learned(algorithm, parameters, inputs, outputs, rows, stream, schema, tolerance=1e-7):
    case(algorithm, parameters, inputs, outputs, rows, stream, schema)
    cases[-1] |= {"learns": True, "tolerance": tolerance}


# The event that fills nInit is scored with the model that it completes.
TWO = "id*:int64,p:double,q:double,r:double"
points = rng.normal(0, 1, (80, 2)) * [1, 5] + [2, -3]
response = points @ [1.5, -0.4] + 2 + rng.normal(0, 0.3, 80)
stream = [[i, *[float(v) for v in np.round([*points[i], response[i]], 5)]] for i in range(80)]
rows = []
for i in range(80):
    if i < 19:
        rows.append([i, None])
        continue
    data = np.array(stream)[:i + 1]
    weights = 0.95 ** np.maximum(0, i - np.maximum(np.arange(i + 1), 19.0)) ** 1.0
    design = np.column_stack([np.ones(i + 1), data[:, 1:3]]) * np.sqrt(weights)[:, None]
    b = np.linalg.lstsq(design, data[:, 3] * np.sqrt(weights), rcond=None)[0]
    rows.append([i, float(b @ [1, *data[i, 1:3]])])
learned("LinearRegression", {"nInit": 20, "velocity": 1, "commitInterval": 1, "dampingFactor": 0.95},
        {"inputs": "p,q", "response": "r"}, {"yPredictOut": "y:double"}, rows, stream, TWO)

classes = (response + rng.normal(0, 3, 80) > 6).astype(int)
stream = [[i, *[float(v) for v in np.round(points[i], 5)], int(classes[i])] for i in range(80)]
data = np.array(stream)
scaled = (data[:, 1:3] - data[:60, 1:3].mean(axis=0)) / data[:60, 1:3].std(axis=0)
fit = LogisticRegression(C=2.0, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(scaled[:60], classes[:60])
rows = [[i, None, None, None] if i < 59 else
        [i, int(fit.predict(scaled[i:i + 1])[0]), float(fit.predict_proba(scaled[i:i + 1])[0, 1]), 1] for i in range(80)]
learned("LogisticRegression", {"nInit": 60, "regularization": 0.5, "commitInterval": 1000}, {"inputs": "p,q", "response": "r"},
        {"yPredictOut": "y:int64", "yProbOut": "w:double", "modelIdOut": "m:int64"}, rows, stream, TWO)
fit = LinearSVC(loss="hinge", C=0.7, tol=1e-12, max_iter=10_000_000, random_state=1).fit(scaled[:60], classes[:60])
rows = [[i, None, None] if i < 59 else
        [i, int(fit.predict(scaled[i:i + 1])[0]), float(fit.decision_function(scaled[i:i + 1])[0])] for i in range(80)]
learned("SVM", {"nInit": 60, "c": 0.7, "maxIter": 10000, "commitInterval": 1000}, {"inputs": "p,q", "response": "r"},
        {"yPredictOut": "y:int64", "marginOut": "w:double"}, rows, stream, TWO, 1e-4)

centers = np.array([[0, 0], [8, 1], [3, 9]])
stream = [[i, *[float(v) for v in np.round(rng.normal(centers[i % 3], 0.5), 5)], 0.0] for i in range(60)]
data = np.array(stream)[:, 1:3]
fit = KMeans(3, n_init=10, random_state=1, tol=0).fit(data[:45])
rows = [[i, None] if i < 44 else [i, float(fit.transform(data[i:i + 1]).min())] for i in range(60)]
learned("KMEANS", {"nClusters": 3, "nInit": 45, "commitInterval": 1000}, {"inputs": "p,q"}, {"minDistanceOut": "d:double"}, rows,
        stream, TWO)

stream = [[i, *[float(v) for v in rng.normal(centers[i % 2], 0.2)], 0.0] for i in range(60)] + [[60, 20.0, 20.0, 0.0]]
rows = [[i, None] if i < 39 else [i, -1 if i == 60 else i % 2] for i in range(61)]
learned("DBSCAN", {"epsilon": 1, "mu": 4, "nInit": 40, "commitInterval": 1000}, {"inputs": "p,q"}, {"labelOut": "l:int64"}, rows,
        stream, TWO)

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(f"{len(cases)} cases in {path}, {path.stat().st_size} bytes")
