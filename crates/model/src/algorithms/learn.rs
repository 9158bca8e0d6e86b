//! The algorithms of train and score windows.

use super::InputType::Number;
use super::{Algorithm, AlgorithmKind, LENGTH_MAX, Parameter, count, flag, input, inputs, number, real};

const LENGTH: (i64, i64) = (1, LENGTH_MAX);
const SHARE: (f64, f64) = (0.0, 1.0);

const N_INIT: Parameter =
    count("nInit", (2, 100_000), 50, "events before the first model, which is fitted to all of them");
const VELOCITY: Parameter = count("velocity", LENGTH, 1, "events that the model learns from at once");
const COMMIT: Parameter =
    count("commitInterval", LENGTH, 25, "a model goes out every velocity times commitInterval events");
const DAMPING: Parameter = real("dampingFactor", SHARE, 0.8, "weight of what was learned before, with each batch");

const MODEL_ID: super::Output = number("modelIdOut");

pub(crate) const LEARN: &[Algorithm] = &[
    Algorithm {
        name: "KMEANS",
        kind: AlgorithmKind::Kmeans,
        about: "Streaming k-means. The first model: k-means++ with `initSeed`, then Lloyd's steps. Then a batch of `velocity` \
                events moves each centre to the mean of its earlier weight, times dampingFactor, and of the events nearest to \
                it. A cluster lighter than fadeOutFactor times the mean weight is dropped, and the heaviest is split in two, \
                apart by disturbFactor. Labels from 0; distances are Euclidean.",
        one_for_one: true,
        parameters: &[
            count("nClusters", (1, 1000), 2, "clusters"),
            count("initSeed", (0, i64::MAX), 12345, "seed of the first centres"),
            DAMPING,
            real("fadeOutFactor", SHARE, 0.05, "a cluster that is so light, measured by the mean, is dropped"),
            real("disturbFactor", SHARE, 0.01, "how far the halves of a split cluster stand apart"),
            N_INIT,
            VELOCITY,
            COMMIT,
        ],
        orders: &[],
        inputs: &[inputs("inputs")],
        outputs: &[number("labelOut"), number("minDistanceOut"), MODEL_ID],
    },
    Algorithm {
        name: "DBSCAN",
        kind: AlgorithmKind::Dbscan,
        about: "DenStream: events join micro-clusters of radius `epsilon`, whose weights fade by 2^(-lambda) with each event; \
                those heavier than beta * mu count, and clusters are those that are within reach of one another. A score \
                is the cluster of the nearest micro-cluster within epsilon, or -1. Like the original in kind, not in \
                figures.",
        one_for_one: true,
        parameters: &[
            real("epsilon", (1e-12, 1e12), 0.5, "radius of a micro-cluster"),
            real("mu", (0.0, 1e9), 5.0, "weight of a dense micro-cluster"),
            real("beta", SHARE, 0.25, "share of mu from which on a micro-cluster counts"),
            real("lambda", SHARE, 0.01, "how fast weights fade"),
            flag("recluster", true, "1: micro-clusters within reach are one cluster; 0: each is one"),
            real("reclusterFactor", (0.0, 1000.0), 2.0, "reach in epsilons"),
            N_INIT,
            VELOCITY,
            COMMIT,
        ],
        orders: &[],
        inputs: &[inputs("inputs")],
        outputs: &[number("labelOut"), number("minDistanceOut"), MODEL_ID],
    },
    Algorithm {
        name: "LinearRegression",
        kind: AlgorithmKind::LinearRegression,
        about: "Least squares from means and covariances, which fade by dampingFactor with each batch. A direction without \
                variance gets the coefficient 0. centerFlag 0: no intercept.",
        one_for_one: true,
        parameters: &[
            N_INIT,
            VELOCITY,
            COMMIT,
            real("dampingFactor", SHARE, 1.0, "weight of what was learned before, with each batch"),
            flag("centerFlag", true, "1: with an intercept"),
            flag("scaleFlag", true, "accepted, changes nothing: predictions do not depend on it"),
        ],
        orders: &[],
        inputs: &[inputs("inputs"), input("response", Number)],
        outputs: &[number("yPredictOut"), MODEL_ID],
    },
    Algorithm {
        name: "LogisticRegression",
        kind: AlgorithmKind::LogisticRegression,
        about: "Two classes: the response is 0 (or negative), or not. The first model is the maximum likelihood (Newton) with \
                the ridge `regularization`; then each event is a Newton step, with earlier information fading by \
                dampingFactor with each batch. yProbOut: probability of the class 1; yPredictOut: 1 from 0.5 on.",
        one_for_one: true,
        parameters: &[
            N_INIT,
            VELOCITY,
            COMMIT,
            real("dampingFactor", SHARE, 1.0, "weight of what was learned before, with each batch"),
            flag("centerFlag", true, "1: with an intercept"),
            flag("scaleFlag", true, "1: the ridge is on inputs in standard deviations of the first nInit events"),
            real("regularization", (1e-9, 1e9), 1e-3, "ridge on the coefficients"),
            count("maxIter", (1, 10_000), 50, "most steps of the first model"),
        ],
        orders: &[],
        inputs: &[inputs("inputs"), input("response", Number)],
        outputs: &[number("yPredictOut"), number("yProbOut"), MODEL_ID],
    },
    Algorithm {
        name: "SVM",
        kind: AlgorithmKind::Svm,
        about: "Linear support vector machine for two classes: the response is 0 (or negative), or not. The first model: \
                dual coordinate descent over the first nInit events with the penalty `c`, in their order; then \
                subgradient steps that shrink with the number of events. marginOut: distance from the border, in margins; \
                yPredictOut: 1 or, where the first response that is not 1 was negative, -1, otherwise 0.",
        one_for_one: true,
        parameters: &[
            N_INIT,
            VELOCITY,
            COMMIT,
            flag("centerFlag", true, "1: inputs less the mean of the first nInit events"),
            flag("scaleFlag", true, "1: inputs in standard deviations of the first nInit events"),
            real("c", (1e-9, 1e9), 1.0, "penalty of an event on the wrong side"),
            count("maxIter", (1, 10_000), 200, "most passes of the first model"),
        ],
        orders: &[],
        inputs: &[inputs("inputs"), input("response", Number)],
        outputs: &[number("yPredictOut"), number("marginOut"), MODEL_ID],
    },
];
