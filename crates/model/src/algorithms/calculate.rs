//! The algorithms of calculate windows, Summary aside.

use super::InputType::{Any, Number, Text};
use super::OutputType::Same;
use super::{
    Algorithm, AlgorithmKind, Domain, Input, LENGTH_MAX, Order, OutputType, Parameter, choice, count, flag, input,
    inputs, key, list, number, real, tag,
};

/// The window functions of spectral algorithms, by their number in project files.
const WINDOW_TYPE: Parameter = choice(
    "windowType",
    &["1", "2", "3", "4", "5", "6", "7", "10", "11", "12", "13", "14", "15", "16"],
    "7",
    "symmetric: 1 Bartlett, 2 Bohman, 3 Chebyshev, 4 Gaussian, 5 Kaiser, 6 Parzen, 7 rectangular, 10 Tukey, \
     11 Bartlett-Hann, 12 Blackman-Harris, 13 Blackman, 14 Hamming, 15 Hann, 16 flat top",
);

const WINDOW_PARAM: Parameter = real(
    "windowParam",
    (-1.0, 1e6),
    -1.0,
    "Chebyshev: attenuation in dB (100); Gaussian: half length in standard deviations (2.5); Kaiser: beta (0.5); \
     Tukey: tapered share (0.5); negative: the value in parentheses",
);

const LENGTH: (i64, i64) = (1, LENGTH_MAX);
const OVERLAP: Parameter = count("overlap", (0, LENGTH_MAX), 0, "events that a window shares with the one before");
const OVERLAP_ORDER: Order = Order { low: "overlap", high: "windowLength", strict: true, open: false };

/// Most rows, or bins, that come out of one event.
const BINS_MAX: i64 = 65_536;

pub(crate) const CALCULATE: &[Algorithm] = &[
    Algorithm {
        name: "Correlation",
        kind: AlgorithmKind::Correlation,
        about: "Product-moment correlation of the pairs of the last `windowLength` events. Null for fewer than two pairs, \
                and where a side does not vary.",
        one_for_one: true,
        parameters: &[count("windowLength", (0, LENGTH_MAX), 0, "events looked at; 0 = since the start")],
        orders: &[],
        inputs: &[input("x", Number), input("y", Number)],
        outputs: &[number("corOut")],
    },
    Algorithm {
        name: "MRR",
        kind: AlgorithmKind::Mrr,
        about: "Moving range: largest less smallest value of the last `rangeWindowLength` values. `erangeOut` is its \
                exponentially weighted mean with the weight 2 / (`expRangeWindowLength` + 1) (the original's form is \
                not public).",
        one_for_one: true,
        parameters: &[
            count("rangeWindowLength", LENGTH, 10, "values looked at"),
            count("expRangeWindowLength", LENGTH, 10, "span of the weighted mean"),
        ],
        orders: &[],
        inputs: &[input("input", Number), tag("timeId")],
        outputs: &[key("timeIdOut", Same(1)), number("rangeOut"), number("erangeOut")],
    },
    Algorithm {
        name: "FitStat",
        kind: AlgorithmKind::FitStat,
        about: "How well predictions fit. One input: a regression; mce and mcll are null. Several: one probability for each \
                class; the class of a field is the text behind the last `_` of its name (or its last `labelLen` \
                letters), div is n times classes, mce the share of events whose most probable class is another, mcll \
                the mean of -log of the class's probability (at least 1e-15); msle and rmsle are null.",
        one_for_one: true,
        parameters: &[
            count("windowLength", (0, LENGTH_MAX), 0, "events looked at; 0 = since the start"),
            count(
                "labelLen",
                (0, 256),
                0,
                "letters at the end of a field's name that are its class; 0 = behind the last _",
            ),
        ],
        orders: &[],
        inputs: &[inputs("inputs"), Input { name: "response", ty: Any, many: false, required: true }],
        outputs: &[
            number("nOut"),
            number("nmissOut"),
            number("aseOut"),
            number("divOut"),
            number("raseOut"),
            number("mceOut"),
            number("mcllOut"),
            number("maeOut"),
            number("rmaeOut"),
            number("msleOut"),
            number("rmsleOut"),
        ],
    },
    Algorithm {
        name: "STFT",
        kind: AlgorithmKind::Stft,
        about: "Short-time Fourier transform: the last `windowLength` values times a window function, zeros up to \
                `fftLength`, power re^2 + im^2 and phase atan2(im, re) of bins 0 to fftLength - 1. The first comes when the \
                window is full, the next ones every windowLength - overlap values.",
        one_for_one: false,
        parameters: &[
            count("windowLength", (1, BINS_MAX), 128, "values of a window"),
            WINDOW_TYPE,
            WINDOW_PARAM,
            count("fftLength", (0, BINS_MAX), 0, "length of the transform; 0 = windowLength"),
            OVERLAP,
            flag(
                "binsInSchema",
                false,
                "1: one event for each window, powerOut and phaseOut are lists; 0: one for each bin",
            ),
        ],
        orders: &[OVERLAP_ORDER, Order { low: "windowLength", high: "fftLength", strict: false, open: true }],
        inputs: &[input("input", Number), tag("timeId")],
        outputs: &[key("timeIdOut", Same(1)), key("binOut", OutputType::Number), list("powerOut"), list("phaseOut")],
    },
    Algorithm {
        name: "Cepstrum",
        kind: AlgorithmKind::Cepstrum,
        about: "Real cepstrum of a window of values: the real part of ifft(log |fft|). Complex: the phase, unwrapped and \
                without its linear part, goes in too. A magnitude of 0 counts as the smallest positive number.",
        one_for_one: false,
        parameters: &[
            count("windowLength", (1, BINS_MAX), 128, "values of a window"),
            WINDOW_TYPE,
            WINDOW_PARAM,
            OVERLAP,
            flag("complexCepstrum", false, "1: the complex cepstrum"),
        ],
        orders: &[OVERLAP_ORDER],
        inputs: &[input("input", Number), tag("timeId")],
        outputs: &[key("timeIdOut", Same(1)), list("cepstrumListOut")],
    },
    Algorithm {
        name: "SegmentedCorrelation",
        kind: AlgorithmKind::SegmentedCorrelation,
        about: "Correlation of a segment with the one before it. An indicator that is not 0 begins a segment; both segments are \
                drawn to `sampleSize` points by straight lines. A segment shorter than `minSize` or longer than `maxSize` is \
                left out. The result stands until the next segment ends.",
        one_for_one: true,
        parameters: &[
            count("sampleSize", (2, BINS_MAX), 100, "points that a segment is drawn to"),
            count("minSize", (2, LENGTH_MAX), 2, "shortest segment"),
            count("maxSize", (2, LENGTH_MAX), 10_000, "longest segment"),
        ],
        orders: &[Order { low: "minSize", high: "maxSize", strict: false, open: false }],
        inputs: &[input("x", Number), input("indicator", Number)],
        outputs: &[number("corOut")],
    },
    Algorithm {
        name: "LagMonitor",
        kind: AlgorithmKind::LagMonitor,
        about: "Cross-correlation of the input, so many events before, with the target, over the last `windowLength` pairs: \
                sum((input[t - lag] - mean)(target[t] - mean)) / (n s s'), s with the divisor n. The lags with the \
                largest absolute, largest and smallest value; of several the first.",
        one_for_one: true,
        parameters: &[
            count("minLag", (-1000, 1000), 0, "first lag"),
            count("maxLag", (-1000, 1000), 10, "last lag"),
            count("windowLength", (2, 100_000), 100, "pairs looked at"),
        ],
        orders: &[Order { low: "minLag", high: "maxLag", strict: false, open: false }],
        inputs: &[input("input", Number), input("target", Number), tag("timeId")],
        outputs: &[
            number("absCCFOut"),
            number("absLagOut"),
            number("maxCCFOut"),
            number("maxLagOut"),
            number("minCCFOut"),
            number("minLagOut"),
            number("numComputedLagsOut"),
            key("timeIdOut", Same(2)),
        ],
    },
    Algorithm {
        name: "Histogram",
        kind: AlgorithmKind::Histogram,
        about: "Streaming histogram (Ben-Haim and Tom-Tov): a value is a bin of its own, then the two nearest bins become one \
                while there are more than `nBins`. Weights fade by `alpha` with each value. Quantiles by straight lines \
                between the middles of the cumulated heights.",
        one_for_one: false,
        parameters: &[
            count("nBins", (1, 4096), 20, "most bins"),
            real("alpha", (1e-9, 1.0), 1.0, "factor on earlier weights with each value"),
            count("halfLifeSteps", (0, LENGTH_MAX), 0, "values after which a weight is halved; 0: alpha holds"),
            Parameter {
                name: "quantileList",
                domain: Domain::Shares { default: &[0.25, 0.5, 0.75] },
                about: "quantiles",
            },
            count("reportInterval", LENGTH, 1, "values from one event out to the next"),
        ],
        orders: &[],
        inputs: &[input("input", Number), tag("timeId")],
        outputs: &[list("binCentersOut"), list("binHeightsOut"), list("quantilesOut"), key("timeIdOut", Same(1))],
    },
    Algorithm {
        name: "DistributionFitting",
        kind: AlgorithmKind::DistributionFitting,
        about: "Maximum likelihood. Weibull: beta shape, alpha scale, mu 0. Gamma: alpha shape, beta scale, mu 0. Normal: mu \
                mean, beta standard deviation (divisor n), alpha null. Weibull and Gamma look at positive values only.",
        one_for_one: false,
        parameters: &[
            count("windowLength", (2, LENGTH_MAX), 100, "values of a window"),
            OVERLAP,
            count("maxIter", (1, 10_000), 100, "most steps of the search"),
            choice("distribution", &["Weibull", "Gamma", "Normal"], "Weibull", "which distribution"),
        ],
        orders: &[OVERLAP_ORDER],
        inputs: &[input("input", Number), tag("timeId")],
        outputs: &[
            number("betaOut"),
            number("alphaOut"),
            number("muOut"),
            number("convergeOut"),
            key("timeIdOut", Same(1)),
        ],
    },
    Algorithm {
        name: "ChangeDetection",
        kind: AlgorithmKind::ChangeDetection,
        about: "The first `refWindowSize` values are the reference; those behind them fill a fading histogram. At an evaluation \
                both are laid out in `nBins` bins between their extremes (each with half a value more), and the divergence is \
                sum(p log(p / q)) of the fading one from the reference. KLDivergenceDiff: less the smallest since the \
                reference was taken. Above the threshold a change is reported and a new reference is taken. Adaptive: the \
                next evaluation comes the earlier, the nearer the value is to the threshold.",
        one_for_one: false,
        parameters: &[
            count("nBins", (2, 4096), 50, "bins"),
            count("maxBins", (0, 4096), 0, "most bins of the histograms; 0 = nBins"),
            real(
                "slidingAlpha",
                (1e-9, 1.0),
                0.98,
                "factor on earlier weights of the fading histogram with each value",
            ),
            count(
                "slidingHalfLifeSteps",
                (0, LENGTH_MAX),
                0,
                "values after which a weight is halved; 0: slidingAlpha holds",
            ),
            count("refWindowSize", (2, LENGTH_MAX), 100, "values of the reference"),
            count("maxEvalSteps", LENGTH, 100, "most values from one evaluation to the next"),
            flag("adaptiveEval", true, "1: evaluate earlier near the threshold"),
            flag("showEval", true, "1: put out events at which was evaluated"),
            flag("showAll", false, "1: put out all events"),
            real("changeThreshold", (0.0, 1e9), 0.2, "value above which a change is reported"),
            choice("measure", &["KLDivergenceDiff", "KLDivergence"], "KLDivergenceDiff", "what is compared"),
        ],
        orders: &[],
        inputs: &[input("input", Number)],
        outputs: &[number("evaluatedOut"), number("changeValueOut"), number("changeDetectedOut")],
    },
    Algorithm {
        name: "ROC",
        kind: AlgorithmKind::Roc,
        about: "Receiver operating characteristic since the start, one event for each cut-off 0, cutStep, ... up to 1 and each \
                event in. Predicted is what is not below the cut-off. ks2 is sensitivity less fpr; ks is 1 at its \
                first maximum. c, gini, gamma and tau count pairs by bin. A quotient with the divisor 0 is null.",
        one_for_one: false,
        parameters: &[
            real("cutStep", (1e-4, 1.0), 0.01, "step of the cut-offs"),
            Parameter {
                name: "event",
                domain: Domain::Text { default: "1" },
                about: "response that is the event, as text or number",
            },
        ],
        orders: &[],
        inputs: &[input("input", Number), Input { name: "response", ty: Any, many: false, required: true }],
        outputs: &[
            key("binIdOut", OutputType::Number),
            number("cutOffOut"),
            number("tpOut"),
            number("fpOut"),
            number("fnOut"),
            number("tnOut"),
            number("sensitivityOut"),
            number("specificityOut"),
            number("ksOut"),
            number("ks2Out"),
            number("fHalfOut"),
            number("fprOut"),
            number("accOut"),
            number("fdrOut"),
            number("f1Out"),
            number("cOut"),
            number("giniOut"),
            number("gammaOut"),
            number("tauOut"),
            number("miscEventOut"),
        ],
    },
    Algorithm {
        name: "Tokenization",
        kind: AlgorithmKind::Tokenization,
        about: "The words of a text: letters and digits, with apostrophes inside, as they stand. Token ids from 0; positions \
                count letters from 0, the end is that of the last letter.",
        one_for_one: false,
        parameters: &[],
        orders: &[],
        inputs: &[input("docId", Any), input("doc", Text)],
        outputs: &[
            key("docIdOut", Same(0)),
            key("tokenIdOut", OutputType::Number),
            key("wordOut", OutputType::Text),
            number("startPosOut"),
            number("endPosOut"),
        ],
    },
    Algorithm {
        name: "TFIDF",
        kind: AlgorithmKind::Tfidf,
        about: "A document ends where docId changes. tf: share of the token among those of the document so far; idf: \
                log(documents / documents with the token), this one included; tfidf: their product. The tokens of all documents are held.",
        one_for_one: true,
        parameters: &[],
        orders: &[],
        inputs: &[input("docId", Any), tag("tokenId"), input("token", Text)],
        outputs: &[
            key("docIdOut", Same(0)),
            key("tokenIdOut", Same(1)),
            key("tokenOut", OutputType::Text),
            number("tfOut"),
            number("idfOut"),
            number("tfidfOut"),
            number("tf"),
            number("idf"),
            number("tfidf"),
        ],
    },
    Algorithm {
        name: "TextVectorization",
        kind: AlgorithmKind::TextVectorization,
        about: "The vector of each word, as it stands in the file: a line for each word, the word, then numbers. Null for a \
                word that is not there. With `outputDocVec` 1 the mean of the vectors of the document so far, component \
                by component; a document ends where docId changes. The file travels in the project (`<files>`): espctl \
                takes it along.",
        one_for_one: false,
        parameters: &[
            Parameter { name: "wordVec", domain: Domain::Vectors, about: "file of the word vectors" },
            Parameter {
                name: "wordVecDelimiter",
                domain: Domain::Text { default: "" },
                about: "COMMA, TAB, SPACE, SEMICOLON, COLON, PIPE or a character; without, the first of tab, comma and \
                        blank that the first line has",
            },
            flag("outputDocVec", false, "1: vectors of documents; 0: of words"),
        ],
        orders: &[],
        inputs: &[tag("docId"), tag("tokenId"), input("token", Text)],
        outputs: &[
            key("docIdOut", Same(0)),
            key("tokenIdOut", Same(1)),
            key("tokenOut", OutputType::Text),
            list("vectorOut"),
        ],
    },
    Algorithm {
        name: "SST",
        kind: AlgorithmKind::Sst,
        about: "Subspace tracking: mean and covariance of the inputs, earlier events fading; after each window their principal \
                directions. The rank is the smallest whose eigenvalues make the share `eigvalTolCumulative`. \
                principalVecOut: first direction (its largest element positive); projAngleOut: angle of the last event, less \
                the mean, to the subspace; residualOut: what it leaves outside; PCAngleChangeOut: angle to the direction of \
                the window before; PCAbsoluteAngleOut: to that of the first window. Angles in degrees.",
        one_for_one: false,
        parameters: &[
            count("windowLength", LENGTH, 100, "events of a window"),
            OVERLAP,
            count("maxPrincipal", (1, 64), 1, "highest rank"),
            real("meanForgetFactor", (0.0, 1.0), 0.99, "weight of the earlier mean"),
            real("covForgetFactor", (0.0, 1.0), 0.99, "weight of the earlier covariance"),
            real("eigvalTolCumulative", (0.0, 1.0), 0.95, "share of the eigenvalues that the subspace holds"),
        ],
        orders: &[OVERLAP_ORDER],
        inputs: &[inputs("inputs"), tag("timeId")],
        outputs: &[
            list("principalVecOut"),
            number("projAngleOut"),
            number("residualOut"),
            number("numRankOut"),
            number("PCAngleChangeOut"),
            number("PCAbsoluteAngleOut"),
            key("timeIdOut", Same(1)),
        ],
    },
];
