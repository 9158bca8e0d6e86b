//! The discrete Fourier transform, for every length.

use std::f64::consts::PI;

/// A complex number: real and imaginary part.
pub(crate) type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn turn(angle: f64) -> Complex {
    (libm::cos(angle), libm::sin(angle))
}

/// A transform of one length: by halves for a power of two, otherwise as a convolution (Bluestein) of such transforms.
pub(crate) struct Fft {
    length: usize,
    halves: Halves,
    /// Of other lengths: the chirp and the transform of its conjugate.
    chirp: Option<(Vec<Complex>, Vec<Complex>)>,
}

impl Fft {
    pub(crate) fn new(length: usize) -> Fft {
        if length.is_power_of_two() {
            return Fft { length, halves: Halves::new(length), chirp: None };
        }
        let halves = Halves::new((2 * length - 1).next_power_of_two());
        // exp(-i pi k^2 / n); k^2 is taken modulo 2n, where it repeats, so that the angle stays small and exact.
        let angle = |k: usize| -PI * (k * k % (2 * length)) as f64 / length as f64;
        let chirp: Vec<Complex> = (0..length).map(|k| turn(angle(k))).collect();
        let mut kernel = vec![(0.0, 0.0); halves.length()];
        for (k, (re, im)) in chirp.iter().enumerate() {
            kernel[k] = (*re, -im);
            let mirrored = (kernel.len() - k) % kernel.len();
            kernel[mirrored] = (*re, -im);
        }
        halves.transform(&mut kernel);
        Fft { length, halves, chirp: Some((chirp, kernel)) }
    }

    /// The transform of as many values.
    pub(crate) fn transform(&self, mut values: Vec<Complex>) -> Vec<Complex> {
        assert_eq!(values.len(), self.length, "a transform has one length");
        let Some((chirp, kernel)) = &self.chirp else {
            self.halves.transform(&mut values);
            return values;
        };
        let mut padded = vec![(0.0, 0.0); kernel.len()];
        padded.iter_mut().zip(&values).zip(chirp).for_each(|((to, value), chirp)| *to = times(*value, *chirp));
        self.halves.transform(&mut padded);
        // The inverse transform is the conjugate of the transform of the conjugate.
        padded.iter_mut().zip(kernel).for_each(|(to, kernel)| {
            let (re, im) = times(*to, *kernel);
            *to = (re, -im);
        });
        self.halves.transform(&mut padded);
        let scale = 1.0 / padded.len() as f64;
        padded.iter().zip(chirp).map(|((re, im), chirp)| times((re * scale, -im * scale), *chirp)).collect()
    }
}

/// Transforms of a length that is a power of two.
struct Halves {
    /// exp(-2 pi i k / n) for the first half of the circle.
    turns: Vec<Complex>,
}

impl Halves {
    fn new(length: usize) -> Halves {
        Halves { turns: (0..length.div_ceil(2)).map(|k| turn(-2.0 * PI * k as f64 / length as f64)).collect() }
    }

    fn length(&self) -> usize {
        self.turns.len() * 2
    }

    fn transform(&self, values: &mut [Complex]) {
        let n = values.len();
        if n < 2 {
            return;
        }
        let bits = n.trailing_zeros();
        for at in 0..n {
            let mirrored = at.reverse_bits() >> (usize::BITS - bits);
            if at < mirrored {
                values.swap(at, mirrored);
            }
        }
        let mut width = 2;
        while width <= n {
            let step = n / width;
            for part in values.chunks_exact_mut(width) {
                let (low, high) = part.split_at_mut(width / 2);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let turned = times(*b, self.turns[k * step]);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            width *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_the_sum_of_its_definition() {
        for length in (1..40).chain([64, 100, 127, 128]) {
            let values: Vec<Complex> =
                (0..length).map(|k| (((k * 7 + 3) % 11) as f64, ((k * 5) % 13) as f64)).collect();
            let got = Fft::new(length).transform(values.clone());
            for (bin, (re, im)) in got.into_iter().enumerate() {
                let (mut wr, mut wi) = (0.0, 0.0);
                for (k, value) in values.iter().enumerate() {
                    let (a, b) = times(*value, turn(-2.0 * PI * (bin * k % length) as f64 / length as f64));
                    wr += a;
                    wi += b;
                }
                assert!((re - wr).abs() < 1e-9 && (im - wi).abs() < 1e-9, "length {length} bin {bin}");
            }
        }
    }
}
