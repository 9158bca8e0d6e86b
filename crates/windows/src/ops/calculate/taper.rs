//! Window functions (tapers), symmetric.

use std::f64::consts::PI;

use mesh_model::Settings;

use super::fft::{Complex, Fft};

/// The taper of a spectral algorithm's settings.
pub(crate) fn of(settings: &Settings, length: usize) -> Vec<f64> {
    let parameter = settings.real("windowParam");
    taper(settings.text("windowType"), (parameter >= 0.0).then_some(parameter), length)
}

/// The window function of a number in project files.
fn taper(number: &str, parameter: Option<f64>, length: usize) -> Vec<f64> {
    if length == 1 {
        return vec![1.0];
    }
    let last = (length - 1) as f64;
    let center = last / 2.0;
    let each = |value: &dyn Fn(f64) -> f64| (0..length).map(|k| value(k as f64)).collect::<Vec<f64>>();
    let cosines = |weights: &[f64]| {
        each(&|k| {
            let angle = -PI + 2.0 * PI * k / last;
            weights.iter().enumerate().fold(0.0, |sum, (order, weight)| sum + weight * libm::cos(order as f64 * angle))
        })
    };
    match number {
        "1" => each(&|k| 1.0 - (k - center).abs() / center),
        "2" => each(&|k| {
            let x = ((k - center) / center).abs();
            // The ends are 0, which rounding would miss.
            if x >= 1.0 { 0.0 } else { (1.0 - x) * libm::cos(PI * x) + libm::sin(PI * x) / PI }
        }),
        "3" => chebyshev(length, parameter.unwrap_or(100.0)),
        "4" => {
            let alpha = parameter.unwrap_or(2.5);
            each(&|k| {
                let x = alpha * (k - center) / center;
                libm::exp(-0.5 * x * x)
            })
        }
        "5" => {
            let beta = parameter.unwrap_or(0.5);
            each(&|k| {
                let x = (k - center) / center;
                bessel(beta * (1.0 - x * x).max(0.0).sqrt()) / bessel(beta)
            })
        }
        "6" => each(&|k| {
            let (distance, half) = ((k - center).abs(), length as f64 / 2.0);
            let x = distance / half;
            let far = 1.0 - x;
            if distance <= last / 4.0 { 1.0 - 6.0 * x * x + 6.0 * x * x * x } else { 2.0 * far * far * far }
        }),
        "10" => tukey(length, parameter.unwrap_or(0.5)),
        "11" => each(&|k| {
            let x = (k / last - 0.5).abs();
            0.62 - 0.48 * x + 0.38 * libm::cos(2.0 * PI * x)
        }),
        "12" => cosines(&[0.35875, 0.48829, 0.14128, 0.01168]),
        "13" => cosines(&[0.42, 0.5, 0.08]),
        "14" => cosines(&[0.54, 0.46]),
        "15" => cosines(&[0.5, 0.5]),
        "16" => cosines(&[0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368]),
        _ => vec![1.0; length],
    }
}

/// The modified Bessel function of order 0: its series, whose terms are all positive.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        let factor = x / (2.0 * k);
        term *= factor * factor;
        sum += term;
        k += 1.0;
    }
    sum
}

fn tukey(length: usize, share: f64) -> Vec<f64> {
    let last = (length - 1) as f64;
    if share <= 0.0 {
        return vec![1.0; length];
    }
    let share = share.min(1.0);
    let width = (share * last / 2.0).floor() as usize;
    let slope = |k: usize| 0.5 * (1.0 + libm::cos(PI * (2.0 * k as f64 / (share * last) - 1.0)));
    (0..length)
        .map(|k| match k.min(length - 1 - k) {
            edge if edge <= width => slope(edge),
            _ => 1.0,
        })
        .collect()
}

/// Dolph-Chebyshev: the transform of a Chebyshev polynomial.
fn chebyshev(length: usize, attenuation: f64) -> Vec<f64> {
    let order = (length - 1) as f64;
    let beta = libm::cosh(libm::acosh(libm::pow(10.0, attenuation / 20.0)) / order);
    let odd = length % 2 == 1;
    let polynomial = |k: usize| {
        let x = beta * libm::cos(PI * k as f64 / length as f64);
        if x > 1.0 {
            libm::cosh(order * libm::acosh(x))
        } else if x < -1.0 {
            (if odd { 1.0 } else { -1.0 }) * libm::cosh(order * libm::acosh(-x))
        } else {
            libm::cos(order * libm::acos(x))
        }
    };
    let shift = |k: usize| if odd { 0.0 } else { PI * k as f64 / length as f64 };
    let values: Vec<Complex> =
        (0..length).map(|k| (polynomial(k) * libm::cos(shift(k)), polynomial(k) * libm::sin(shift(k)))).collect();
    let spectrum: Vec<f64> = Fft::new(length).transform(values).into_iter().map(|(re, _)| re).collect();
    let half = if odd { &spectrum[..length.div_ceil(2)] } else { &spectrum[1..=length / 2] };
    let mirrored = half.iter().rev().take(length / 2);
    let taper: Vec<f64> = mirrored.chain(half).copied().collect();
    let most = taper.iter().copied().fold(f64::MIN, f64::max);
    taper.into_iter().map(|value| value / most).collect()
}
